/** What is found out about a song after it was made: when its lyrics are sung, how well it says its words. Each is a
 *  job of the server that names the song, so that it is still known after a reload. */
import { computed } from "@preact/signals";
import { api } from "../api/client";
import type { Item, Job, Score } from "../api/types";
import { finished, isOver, jobs, put, songOf } from "./jobs";
import { say, sayError } from "./notices";
import { modes } from "./params";
import { system } from "./system";
import { t } from "./text";

export type Finding = "lrc" | "score";

const isOfSong = (job: Job) => job.kind === "lrc" || job.kind === "score";

/** The newest of each kind and song that has not failed. */
const findings = computed(() => {
  const found = new Map<string, Job>();
  for (const job of jobs.value.values()) {
    if (!isOfSong(job) || job.status === "failed" || job.status === "cancelled") continue;
    const name = `${job.kind} ${songOf(job)}`;
    const known = found.get(name);
    if (!known || known.created < job.created) found.set(name, job);
  }
  return found;
});

export const finding = (kind: Finding, song: string): Job | undefined => findings.value.get(`${kind} ${song}`);

export function isFinding(kind: Finding, song: string): boolean {
  const job = finding(kind, song);
  return job !== undefined && !isOver(job);
}

/** Models that make music from words only cannot listen. */
const hears = computed(() => modes.value.some((each) => each.available && each.fields.includes("src_audio")));
export const canTime = hears;
export const canScore = (item: Item) => Boolean(system.value?.models?.lm) && (Boolean(item.codes) || hears.value);

export function scoreOf(song: string, item: Item): Score | undefined {
  const words = finding("score", song)?.words;
  return (Array.isArray(words) ? words[0] : words)?.lm_score ?? item.lm_score ?? undefined;
}

const SAID = { lrc: "say.timed", score: "say.scored" } as const;

export async function findOut(kind: Finding, song: string, name: string) {
  try {
    const record = await api.listen(kind, song);
    put(await api.job(record.id));
    const job = await finished(record.id);
    if (job.status === "done") say("good", t(SAID[kind], { name }));
    else if (job.status === "failed") say("bad", job.error?.message ?? "", job.error?.hint);
  } catch (error) {
    sayError(error);
  }
}

/** Goes with its song. */
export async function forgetFindings(songJob: string) {
  const about = [...jobs.peek().values()].filter((job) => isOfSong(job) && songOf(job).startsWith(`${songJob}/`));
  await Promise.all(about.map((job) => api.remove(job.id).catch(() => undefined)));
}
