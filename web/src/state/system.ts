/** This machine, its tier, and the controls as the server sets them up for the card. */
import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Control, Info, System, Value, Values } from "../api/types";
import { byDefault, label, option } from "./params";
import { get, isSet, set, values } from "./form";
import { sayClamped, sayError } from "./notices";
import { number } from "./text";

export const system = signal<System | null>(null);
/** The tier that the card has of its own. */
const detected = signal("");
/** Nothing has been downloaded: the program's own small model plays. */
export const isDemo = computed(() => system.value?.models?.card?.name === "demo");
export const info = computed<Info | null>(() => system.value?.info ?? null);

/** The engine's options in the form: what the controls depend on. */
const asked = computed<Values>(() => {
  const names = Object.keys(info.value?.controls ?? {});
  const out: Values = {};
  for (const [name, value] of Object.entries(values.value))
    if ((names.includes(name) || name === "force_config") && name !== "duration" && name !== "batch_size") out[name] = value;
  if (values.value.model) out.model = values.value.model;
  return out;
});
const askedText = computed(() => JSON.stringify(asked.value));

let running: AbortController | null = null;

export async function refreshSystem() {
  running?.abort();
  const mine = (running = new AbortController());
  try {
    const next = await api.system(JSON.parse(askedText.peek()), mine.signal);
    if (running !== mine) return;
    system.value = next;
    if (next.info.source === "detected") detected.value = next.info.label;
    else if (!detected.peek() && isSet("tier")) detected.value = (await api.system({})).info.label;
  } catch (error) {
    sayError(error);
  }
}

effect(() => {
  if (askedText.value && system.peek()) void refreshSystem();
});

export function control(name: string): Control | undefined {
  return info.value?.controls[name];
}

/** What a control stands at: what was chosen, else what the card's tier starts with. */
export function standing(name: string): Value {
  const at = control(name);
  if (!at) return get(name);
  if (at.disabled || !isSet(name)) return at.value;
  const chosen = get(name);
  return typeof at.value === "boolean" ? chosen === true || chosen === "true" : chosen;
}

/** Chooses; going back to the tier's own value forgets the choice. */
export function choose(name: string, value: Value) {
  const words = option(name)?.kind === "word";
  set(name, words ? String(value) : value);
}

export function forget(names: string[]) {
  for (const name of names) set(name, undefined);
}

/** Made for more memory than the card has. */
export function isAboveCard(label: string): boolean {
  const all = (control("tier")?.choices ?? []).map(String);
  return detected.peek() !== "" && all.indexOf(label) > all.indexOf(detected.peek());
}

/** Another tier brings all of its own values. */
export function chooseTier(label: string) {
  forget(Object.keys(info.value?.controls ?? {}).filter((name) => name !== "limits"));
  set("tier", label === detected.value ? undefined : label.split(" ")[0]);
}

/** A value that the card's limits have become too small for is brought down, and that is said. */
effect(() => {
  for (const name of ["duration", "batch_size"]) {
    const most = control(name)?.max;
    const value = Number(values.value[name] ?? byDefault(name));
    if (most === undefined || value <= most) continue;
    const tier = info.value?.label ?? "";
    queueMicrotask(() => {
      set(name, most);
      sayClamped(label(name), number(value), number(most), tier);
    });
  }
});
