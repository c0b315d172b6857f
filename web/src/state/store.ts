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

let timer: ReturnType<typeof setTimeout> | undefined;
let watched = false;

/** Reads the list now, and again and again while something is on its way and somebody looks. */
async function read() {
  clearTimeout(timer);
  const before = new Set(active.value.map((each) => each.id));
  try {
    store.value = await api.store();
    await tell(before);
  } catch (error) {
    sayError(error);
    return;
  }
  clearTimeout(timer);
  if (watched && active.value.length > 0) timer = setTimeout(read, AGAIN);
}

/** The returned function ends it. */
export function watchStore(): () => void {
  watched = true;
  void read();
  return () => {
    watched = false;
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
    await read();
  } catch (error) {
    sayError(error);
  }
}

export async function cancelDownload(id: string) {
  try {
    await api.cancelDownload(id);
    await read();
  } catch (error) {
    sayError(error);
  }
}
