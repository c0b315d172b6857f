/** The option table and the modes, as the server has them. */
import { computed, signal } from "@preact/signals";
import type { Mode, Option, Params, Value } from "../api/types";
import { language, maybe } from "./text";

export const params = signal<Params | null>(null);

const table = computed(
  () => new Map((params.value?.options ?? []).map((option) => [option.name, option] as const)),
);

export function option(name: string): Option | undefined {
  return table.value.get(name);
}

export function byDefault(name: string): Value {
  return params.value?.defaults[name] ?? option(name)?.default ?? "";
}

export const modes = computed<Mode[]>(() => params.value?.modes ?? []);

/** All options that some mode has for itself: the others belong to every mode. */
export const modeFields = computed(() => new Set(modes.value.flatMap((mode) => mode.fields)));

export function words(name: string): string[] {
  return option(name)?.words?.split("|") ?? [];
}

/** An option's name for people. */
export function label(name: string): string {
  const spaced = name.replace(/_/g, " ");
  return maybe(`option.${name}`) ?? spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** What it does. The server explains in English. */
export function help(name: string): { text: string; english: boolean } {
  const text = maybe(`help.${name}`);
  if (text !== undefined) return { text, english: false };
  return { text: option(name)?.help ?? "", english: language.value !== "en" };
}

/** A value's name for people. */
export function valueLabel(name: string, value: Value): string {
  return maybe(`value.${name}.${value}`) ?? maybe(`value.${value}`) ?? String(value);
}

const OF_TIER = /^(\w+ \([^)]*\)) (.*)$/; // "tier1 (≤4GB) …"

/** What the server remarks on something, in the reader's language where it is a known remark. */
export function remark(text: string): { text: string; english: boolean } {
  const [, tier, rest] = OF_TIER.exec(text) ?? [];
  const known = tier ? maybe(`note.{tier} ${rest}`)?.replace("{tier}", tier) : maybe(`note.${text}`);
  return { text: known ?? text, english: known === undefined && language.value !== "en" };
}

export function modeLabel(mode: Mode): string {
  return maybe(`mode.${mode.name}`) ?? mode.label;
}
