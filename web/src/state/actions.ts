/** What the page's larger buttons do. */
import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import { shortOutline } from "../api/peaks";
import type { Item, Job, Sound, Values, Words } from "../api/types";
import { faults, fill, missing, mode, modeName, request, set, setSound, type SoundField } from "./form";
import { finished, put, songOf, title } from "./jobs";
import { screen, show } from "./look";
import { say, sayError } from "./notices";
import { label, modes, option } from "./params";
import { playable } from "./playable";
import { t } from "./text";

export const submitting = signal(false);

/** Says beside each field what it lacks, and goes to the first of them. */
function complain(names: string[], text: (name: string) => string) {
  faults.value = Object.fromEntries(names.map((name) => [name, text(name)]));
  requestAnimationFrame(() => {
    const field = document.getElementById(`field-${names[0]}`);
    field?.scrollIntoView({ block: "center" });
    field?.focus();
  });
}

export async function make() {
  if (submitting.value || !mode.value) return;
  if (!mode.value.available) return say("bad", mode.value.reason ?? "");
  if (missing.value.length > 0) {
    complain(missing.value, (name) => t("fault.missing", { what: label(name) }));
    return;
  }
  submitting.value = true;
  try {
    const record = await api.submit(request.value);
    put(await api.job(record.id));
    say("good", t("say.queued", { n: Math.max(1, record.queue_position ?? 1) }), undefined, "queue");
  } catch (error) {
    if (error instanceof ApiError && error.param && option(error.param))
      complain([error.param], () => error.message);
    sayError(error);
  }
  submitting.value = false;
}

/* ---- words ------------------------------------------------------------------------------------- */

/** The kind of words that are being written; "" when none are. */
export const writing = signal<"" | "sample" | "format" | "understand">("");

export async function write(kind: "sample" | "format" | "understand", wish: Values): Promise<Words | undefined> {
  writing.value = kind;
  try {
    const record = await api.words(kind, wish);
    put(record);
    const job = await finished(record.id);
    if (job.status === "done") {
      const words = Array.isArray(job.words) ? job.words[0] : job.words;
      return words ?? undefined;
    }
    if (job.status === "failed") say("bad", job.error?.message ?? "", job.error?.hint);
  } catch (error) {
    sayError(error);
  } finally {
    writing.value = "";
  }
  return undefined;
}

const WRITTEN = ["caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language", "duration"] as const;

export function takeWords(words: Words) {
  for (const name of WRITTEN) {
    const value = words[name];
    if (value !== undefined && value !== null && value !== "") set(name, value);
  }
}

export async function enhance() {
  const engine = Object.fromEntries(
    Object.entries(request.value).filter(([name]) => name !== "task_type" && !name.endsWith("_audio")),
  );
  const words = await write("format", engine);
  if (words) {
    takeWords(words);
    say("good", t("say.written"));
  }
}

/* ---- a song goes on ---------------------------------------------------------------------------- */

export function itemSound(job: Job, item: Item): Sound {
  const many = (job.items?.length ?? 0) > 1;
  return {
    id: `${job.id}/${item.index}`,
    name: many ? `${title(job)} · ${item.index + 1}` : title(job),
    seconds: item.seconds,
    audio: playable(item),
    ...(item.latents ? { latents: true } : {}),
    peaks: item.peaks ?? `v1/jobs/${job.id}/items/${item.index}/peaks`,
  };
}

/** A recording by its name, "u_…" or "j_…/0"; undefined when it is gone. */
async function soundOf(id: string): Promise<Sound | undefined> {
  try {
    if (id.startsWith("u_")) {
      const upload = await api.upload(id);
      return { ...upload, peaks: shortOutline(upload.peaks) };
    }
    const [jobId, index] = id.split("/");
    const made = await api.job(jobId!);
    const item = made.items?.[Number(index)];
    return item && itemSound(made, item);
  } catch (error) {
    sayError(error);
    return undefined;
  }
}

/** The recording that a song was made from. */
export const sourceOf = (job: Job) => soundOf(songOf(job));

/** The recordings of a request, back in the form. */
async function bringSounds(asked: Values) {
  const ids = { src_audio: asked.src_latents || asked.src_audio, reference_audio: asked.reference_audio };
  for (const [field, id] of Object.entries(ids))
    setSound(field as SoundField, id ? await soundOf(String(id)) : undefined);
}

/** Makes a recording the `field` of the first mode that has one for the task. */
export function useSound(sound: Sound, field: SoundField, task: string, words?: Item) {
  const wanted = modes.value.find((each) => each.task_type === task && each.fields.includes(field));
  if (!wanted) return;
  modeName.value = wanted.name;
  setSound(field, sound);
  if (words) {
    if (words.caption && wanted.fields.includes("caption")) set("caption", words.caption);
    if (words.lyrics && wanted.fields.includes("lyrics")) set("lyrics", words.lyrics);
  }
  if (screen.value !== "create") show("create");
}

/** The whole form as it was for this song, with its own seed and its recordings. */
export async function reuse(job: Job, item?: Item) {
  const asked = { ...(job.params ?? {}) };
  if (item) {
    asked.seed = String(item.seed);
    asked.batch_size = 1;
  }
  await bringSounds(asked);
  fill(asked);
  show("create");
  say("good", t("say.reused"));
}

/** What the language model has written for a song, so that it need not write anything again. */
const PLANNED = ["caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language"] as const;
const PLANNING = /^(sample_query|thinking|use_format|use_cot_.*|batch_size)$/;

/** More songs like this one: the same words and, where it followed codes, the same codes; seeds of their own. */
export async function vary(job: Job, item: Item) {
  try {
    const codes = item.codes ?? (await api.job(job.id)).items?.[item.index]?.codes;
    const asked = { ...(job.params ?? {}) };
    if (codes) {
      for (const name of Object.keys(asked)) if (PLANNING.test(name)) delete asked[name];
      for (const name of PLANNED) if (item[name]) asked[name] = item[name]!;
      Object.assign(asked, { audio_codes: codes, duration: Math.round(item.seconds) });
    }
    delete asked.seed;
    await bringSounds(asked);
    fill(asked);
    show("create");
    say("good", t(codes ? "say.variesCodes" : "say.varies"));
  } catch (error) {
    sayError(error);
  }
}

export function useCodes(codes: string) {
  modeName.value = modes.value.find((each) => each.fields.includes("audio_codes"))?.name ?? modeName.value;
  set("audio_codes", codes);
  show("create");
  say("good", t("say.codes"));
}

/* ---- settings from files ------------------------------------------------------------------------ */

export async function fillFromFile(file: File) {
  try {
    const found = JSON.parse(await file.text()) as Values;
    if (typeof found !== "object" || found === null || Array.isArray(found)) throw new SyntaxError();
    fill(found);
    say("good", t("say.restored", { name: file.name }));
    if (screen.value !== "create") show("create");
  } catch {
    say("bad", t("say.notSettings", { name: file.name }));
  }
}

export function saveText(name: string, type: string, text: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
