/** What the form holds: the mode, the options that differ from their defaults, and the recordings. */
import { computed, signal } from "@preact/signals";
import type { Mode, Sound, Value, Values } from "../api/types";
import { byDefault, modeFields, modes, option } from "./params";
import { stored } from "./stored";

export const modeName = stored("mode", "");
export const values = stored<Values>("values", {});
export const sounds = stored<Partial<Record<SoundField, Sound>>>("sounds", {});
export type SoundField = "src_audio" | "reference_audio";
const SOUNDS: SoundField[] = ["src_audio", "reference_audio"];

/** The first mode that this server can do, unless one was chosen. */
export const mode = computed<Mode | undefined>(() => {
  const can = modes.value.filter((each) => each.available);
  return can.find((each) => each.name === modeName.value) ?? can[0] ?? modes.value[0];
});

export function get(name: string): Value {
  return values.value[name] ?? byDefault(name);
}
export const getText = (name: string) => String(get(name));
export const getNumber = (name: string) => Number(get(name));
export const isOn = (name: string) => get(name) === true || get(name) === "true";
export const isSet = (name: string) => name in values.value;

/** undefined: as by default. */
export function set(name: string, value: Value | undefined) {
  const { [name]: _, ...rest } = values.value;
  values.value = value === undefined || value === byDefault(name) ? rest : { ...rest, [name]: value };
  if (faults.value[name]) {
    const { [name]: _gone, ...others } = faults.value;
    faults.value = others;
  }
}

export function setSound(field: SoundField, sound: Sound | undefined) {
  const { [field]: _, ...rest } = sounds.value;
  sounds.value = sound ? { ...rest, [field]: sound } : rest;
  if (field === "src_audio") {
    set("repainting_start", undefined);
    set("repainting_end", undefined);
  }
  const { [field]: _gone, ...others } = faults.value;
  faults.value = others;
}

export function has(name: string): boolean {
  return mode.value?.fields.includes(name) ?? false;
}

function belongs(name: string): boolean {
  return has(name) || !modeFields.value.has(name);
}

/** The request that the form stands for: what belongs to the mode and differs from the defaults. */
export const request = computed<Values>(() => {
  const out: Values = { task_type: mode.value?.task_type ?? "text2music" };
  for (const [name, value] of Object.entries(values.value)) if (belongs(name)) out[name] = value;
  for (const field of SOUNDS) {
    const sound = sounds.value[field];
    if (sound && belongs(field)) out[field === "src_audio" && sound.latents ? "src_latents" : field] = sound.id;
  }
  return out;
});

/** Fields that must be filled in and are not. */
export const missing = computed(() =>
  (mode.value?.required ?? []).filter((name) => {
    const value = request.value[name] ?? (name === "src_audio" ? request.value.src_latents : undefined);
    return value === undefined || String(value).trim() === "";
  }),
);

/** Field by field, what is wrong with it: shown beside it. */
export const faults = signal<Record<string, string>>({});

export function reset() {
  values.value = {};
  sounds.value = {};
  faults.value = {};
}

/** Options that say where a file goes or how a run is watched: no part of a song's settings. Recordings come by
 *  themselves. */
const NEVER = new Set(["src_latents", "output", "overwrite", "models", "cache_dir", "trace", "trace_mem", "gpu_tiers"]);

/** Takes over the settings of a song, a sidecar or a preset; returns the names that no option has. */
export function fill(from: Values): string[] {
  const next: Values = {};
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(from)) {
    if (typeof value === "object" || NEVER.has(name) || SOUNDS.includes(name as SoundField)) continue;
    if (!option(name)) unknown.push(name);
    else if (name !== "task_type" && value !== byDefault(name)) next[name] = value;
  }
  const task = String(from.task_type ?? "text2music");
  const simple = next.sample_query !== undefined && !next.caption && !next.lyrics;
  const fits = modes.value.filter((each) => each.task_type === task && each.available);
  const wanted = fits.find((each) => each.fields.includes("sample_query") === simple) ?? fits[0];
  if (wanted) modeName.value = wanted.name;
  values.value = next;
  faults.value = {};
  return unknown;
}
