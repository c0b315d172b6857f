/** The server's jobs. Records come from its lists and are kept current by its events. */
import { computed, signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { ServerEvent } from "../api/events";
import type { Job } from "../api/types";
import { say, sayError } from "./notices";
import { t } from "./text";

export const jobs = signal<ReadonlyMap<string, Job>>(new Map());

export const isOver = (job: Job) => job.status !== "queued" && job.status !== "running";
const newest = (a: Job, b: Job) => b.created - a.created;

export const queue = computed(() =>
  [...jobs.value.values()]
    .filter((job) => !isOver(job))
    .sort(
      (a, b) =>
        Number(b.status === "running") - Number(a.status === "running") ||
        (a.queue_position ?? 0) - (b.queue_position ?? 0) ||
        a.created - b.created,
    ),
);

export const songs = computed(() =>
  [...jobs.value.values()].filter((job) => job.kind === "song" && isOver(job)).sort(newest),
);

/** The song that a job listens to: "j_…/0". */
export const songOf = (job: Job) => String(job.params?.src_latents || job.params?.src_audio || "");

function about(job: Job): string {
  const asked = job.params ?? {};
  const text =
    job.title || asked.title || asked.sample_query || asked.caption || job.items?.[0]?.caption || "";
  const line = String(text).split("\n")[0]!.trim();
  return line.length > 80 ? `${line.slice(0, 79).trimEnd()}…` : line;
}

/** A song's name: what it was given, else what it is about. Other jobs have that of what they do as well. */
export function title(job: Job): string {
  if (job.kind === "song") return about(job) || t("job.untitled");
  const song = jobs.value.get(songOf(job).split("/")[0]!);
  return [t(`job.kind.${job.kind}`), about(song ?? job)].filter(Boolean).join(" · ");
}

export function put(...records: Job[]) {
  const before = jobs.peek();
  const next = new Map(before);
  for (const record of records) next.set(record.id, record);
  jobs.value = next;
  for (const record of records) {
    if (!isOver(record)) continue;
    waiting.get(record.id)?.(record);
    waiting.delete(record.id);
    const known = before.get(record.id);
    if (known && !isOver(known)) announce(record);
  }
}

export function drop(id: string) {
  const next = new Map(jobs.value);
  next.delete(id);
  jobs.value = next;
}

const waiting = new Map<string, (job: Job) => void>();

/** The record once its job is over. */
export function finished(id: string): Promise<Job> {
  const known = jobs.peek().get(id);
  if (known && isOver(known)) return Promise.resolve(known);
  return new Promise((resolve) => waiting.set(id, resolve));
}

const RECENT = 30;
const FINDINGS = 200; // what was found out about songs, which may be older

/** Reads what is there: at the start, and when events may have been missed. */
export async function refreshJobs() {
  const [active, recent, found] = await Promise.all([
    api.jobs({ status: "queued,running", limit: 500 }),
    api.jobs({ kind: "song", limit: RECENT }),
    api.jobs({ kind: "lrc,score", status: "done", limit: FINDINGS }),
  ]);
  const here = new Set(active.jobs.map((job) => job.id));
  const gone = queue.peek().filter((job) => !here.has(job.id));
  put(...recent.jobs, ...found.jobs, ...active.jobs);
  await Promise.all(gone.map((job) => refreshJob(job.id)));
}

export async function refreshJob(id: string) {
  try {
    put(await api.job(id));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) drop(id); // removed meanwhile
  }
}

let queueTimer: ReturnType<typeof setTimeout> | undefined;

/** Positions and waiting times of all change when one job starts, ends or moves. */
function refreshQueueSoon() {
  clearTimeout(queueTimer);
  queueTimer = setTimeout(async () => {
    try {
      put(...(await api.jobs({ status: "queued,running", limit: 500 })).jobs);
    } catch {
      // the connection is gone; everything is read again when it is back
    }
  }, 60);
}

/** A song that has just ended. */
function announce(job: Job) {
  if (job.kind !== "song") return;
  if (job.status === "done") say("good", t("say.done", { title: title(job) }));
  else if (job.status === "cancelled") say("note", t("say.cancelled", { title: title(job) }));
  else say("bad", t("say.failed", { title: title(job), why: job.error?.message ?? "" }), job.error?.hint);
}

/** The language model reports each token: more than there is any use in drawing. */
const REDRAW = 120;
const progress = new Map<string, NonNullable<Job["progress"]>>();
let progressTimer: ReturnType<typeof setTimeout> | undefined;

function showProgressSoon(id: string, { stage, fraction, whole, eta_seconds }: NonNullable<Job["progress"]>) {
  progress.set(id, { stage, fraction, whole, eta_seconds: eta_seconds ?? null });
  progressTimer ??= setTimeout(() => {
    progressTimer = undefined;
    for (const [each, at] of progress) {
      const job = jobs.peek().get(each);
      if (job && !isOver(job)) put({ ...job, status: "running", progress: at });
    }
    progress.clear();
  }, REDRAW);
}

export async function onEvent(event: ServerEvent) {
  const id = String(event.data.id ?? event.data.job ?? "");
  if (!id) return;
  if (event.name === "removed") return drop(id);
  const known = jobs.peek().get(id);
  if (event.name === "progress" || event.name === "phase") {
    if (known) showProgressSoon(id, event.data as unknown as NonNullable<Job["progress"]>);
    return;
  }
  if (known && isOver(known)) return; // of the past
  await refreshJob(id);
  if (["queued", "started", "done", "failed", "cancelled"].includes(event.name)) refreshQueueSoon();
}

/** What a person does to a job. */
export async function cancel(job: Job) {
  try {
    await api.cancel(job.id);
    await refreshJob(job.id);
  } catch (error) {
    sayError(error);
  }
}

export async function remove(job: Job) {
  try {
    await api.remove(job.id);
    drop(job.id);
    say("note", t("say.removed", { title: title(job) }));
  } catch (error) {
    sayError(error);
  }
}

export async function change(job: Job, what: { title?: string; favourite?: boolean }) {
  put({ ...job, ...what });
  try {
    await api.change(job.id, what);
  } catch (error) {
    put(job);
    sayError(error);
  }
}

/** Moves a waiting job by so many places. */
export async function move(job: Job, by: number) {
  const order = queue.peek().filter((each) => each.status === "queued");
  const from = order.findIndex((each) => each.id === job.id);
  const to = Math.max(0, Math.min(order.length - 1, from + by));
  if (from < 0 || to === from) return;
  order.splice(to, 0, ...order.splice(from, 1));
  put(...order.map((each, index) => ({ ...each, queue_position: index + 1 })));
  try {
    await api.reorder(order.map((each) => each.id));
    say("note", t("say.moved", { title: title(job), n: to + 1 }));
  } catch (error) {
    sayError(error);
  }
  refreshQueueSoon();
}
