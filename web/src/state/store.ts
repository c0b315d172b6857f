/** Checkpoints: what is on the server's disk, what can be had, and what is on its way. */
import { computed, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Download, Store, StoreSet } from "../api/types";
import { say, sayError } from "./notices";
import { refreshSystem } from "./system";
import { params } from "./params";
import { t } from "./text";

const AGAIN = 1000; // ms, while something is on its way

export const store = signal<Store | null>(null);

const isActive = (download: Download) => download.status === "queued" || download.status === "running";
export const active = computed(() => (store.value?.downloads ?? []).filter(isActive));

/** The download that will bring a set; the first is the one that runs. */
export function downloadOf(set: StoreSet): Download | undefined {
  return active.value.find((each) => each.sets?.includes(set.name));
}

export const here = (set: StoreSet) => set.state === "complete";
export const wanted = computed(() => (store.value?.sets ?? []).filter((set) => set.recommended && !here(set)));

/** Reads the list now, and again and again while something is on its way. The returned function ends that. */
export function watchStore(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  async function read() {
    const before = new Set(active.value.map((each) => each.id));
    try {
      store.value = await api.store();
      await tell(before);
    } catch (error) {
      sayError(error);
      return;
    }
    if (!ended) timer = setTimeout(read, active.value.length > 0 ? AGAIN : 10 * AGAIN);
  }
  void read();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** What has ended since the list was read last. */
async function tell(before: Set<string>) {
  for (const each of store.value?.downloads ?? []) {
    if (!before.has(each.id) || isActive(each)) continue;
    const name = each.sets?.join(", ") ?? "";
    if (each.status === "done") {
      say("good", t("store.done", { name }));
      params.value = await api.params(); // what can be made may have changed
      await refreshSystem();
    } else if (each.error) {
      say("bad", each.error.message, each.error.hint ?? undefined);
    }
  }
}

export async function download(sets: StoreSet[]) {
  try {
    await api.download(sets.map((set) => set.name));
    store.value = await api.store();
  } catch (error) {
    sayError(error);
  }
}

export async function cancelDownload(id: string) {
  try {
    await api.cancelDownload(id);
    store.value = await api.store();
  } catch (error) {
    sayError(error);
  }
}
