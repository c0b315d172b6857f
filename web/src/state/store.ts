/** Checkpoints: what is on the server's disk, what can be had, and what is on its way. */
import { computed, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Download, Store, StoreSet } from "../api/types";
import { set } from "./form";
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
/** Diffusion models that can be used at once. */
export const usable = computed(() => (store.value?.sets ?? []).filter((set) => set.kind === "diffusion" && here(set)));
/** One that can do what turbo models cannot: a pure base model, as the original tells them by their names. */
export const base = computed(() => usable.value.find(({ name }) => /base/.test(name) && !/sft|turbo/.test(name)));

export const wanted = computed(() => (store.value?.sets ?? []).filter((set) => set.recommended && !here(set)));

/** What is still to come of them. */
export const missingSize = (sets: StoreSet[]) => sets.reduce((sum, set) => sum + set.size - set.bytes, 0);

let timer: ReturnType<typeof setTimeout> | undefined;
let watched = false;
let asked = 0;

/** Answers may overtake each other: only the one that was asked for last counts. */
async function fetchStore() {
  const mine = ++asked;
  try {
    const answer = await api.store();
    if (mine === asked) store.value = answer;
  } catch (error) {
    if (mine === asked) throw error;
  }
}

/** Reads the list now, and again and again while something is on its way and somebody looks. */
async function read() {
  clearTimeout(timer);
  const before = new Set(active.value.map((each) => each.id));
  try {
    await fetchStore();
    await tell(before);
  } catch (error) {
    sayError(error);
    return;
  }
  clearTimeout(timer);
  if (watched && active.value.length > 0) timer = setTimeout(read, AGAIN);
}

/** Reads it once; without the right to see it the page does without. */
export async function refreshStore() {
  try {
    await fetchStore();
  } catch {
    store.value = null;
  }
}

/** What can be made depends on the models. */
async function readAgain() {
  params.value = await api.params();
  await refreshSystem();
}

/** The model that makes all songs from now on, of whoever asks. */
export async function useModel(name: string) {
  try {
    await api.setDefaults({ model: name });
    set("model", undefined);
    await readAgain();
    say("good", t("models.used", { name }));
  } catch (error) {
    sayError(error);
  }
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
      await readAgain();
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
