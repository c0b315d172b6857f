/** The lyrics of what the player has: with times where they are known, and the line that is sung. */
import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Item, Job } from "../api/types";
import { finding } from "./findings";
import { jobs } from "./jobs";
import { lineAt, readLrc, type Line } from "./lrc";
import { position, track } from "./player";
import { stored } from "./stored";

export const lyricsShown = stored("lyrics", false);

const SILENT = /^\s*(\[(instrumental|inst)\]\s*)*$/i;

export interface Sung {
  job: Job;
  item: Item;
  text: string;
}

const wordsOf = (job: Job, item: Item) => item.lyrics || String(job.params?.lyrics ?? "");
export const hasWords = (job: Job, item: Item) => !SILENT.test(wordsOf(job, item));

/** undefined: a recording, or a song without words. */
export const sung = computed<Sung | undefined>(() => {
  const [id, index] = (track.value?.id ?? "").split("/");
  const job = jobs.value.get(id!);
  const item = job?.items?.find((each) => each.index === Number(index));
  return job && item && hasWords(job, item) ? { job, item, text: wordsOf(job, item) } : undefined;
});

/** Where the files with the times are: the song's own, or what was found out later. */
export function timesOf(song: string, item: Item): { lrc: string; vtt?: string | null | undefined } | undefined {
  const found = finding("lrc", song)?.items?.[0];
  if (found?.lrc) return { lrc: found.lrc, vtt: found.vtt };
  return item.lrc ? { lrc: item.lrc, vtt: item.vtt } : undefined;
}

const address = computed(() => {
  const now = sung.value;
  return now && lyricsShown.value ? timesOf(track.value!.id, now.item)?.lrc : undefined;
});

const bare = (path: string) => path.split("?")[0]!; // signed addresses change, the file does not
const read = signal<ReadonlyMap<string, Line[]>>(new Map());

effect(() => {
  const from = address.value;
  if (!from || read.peek().has(bare(from))) return;
  api.text(from).then(
    (text) => (read.value = new Map(read.peek()).set(bare(from), readLrc(text))),
    () => undefined, // the words are there without times
  );
});

export const lines = computed<Line[] | undefined>(() => (address.value ? read.value.get(bare(address.value)) : undefined));
export const line = computed(() => (lines.value ? lineAt(lines.value, position.value) : -1));
