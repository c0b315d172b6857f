/** Adapters that the server has, and which of them the form asks for: "guitar:0.8,bass" in the option lora. */
import { computed, signal } from "@preact/signals";
import { api } from "../api/client";
import type { Adapter } from "../api/types";
import { getText, set } from "./form";
import { say, sayError } from "./notices";
import { t } from "./text";

export const adapters = signal<Adapter[]>([]);

/** Names and scales, in the order in which they are added. */
export const chosen = computed(() => {
  const entries = getText("lora").split(",").map((entry) => entry.trim());
  return new Map(
    entries.filter(Boolean).map((entry) => {
      const colon = entry.lastIndexOf(":");
      return colon < 0 ? ([entry, 1] as const) : ([entry.slice(0, colon), Number(entry.slice(colon + 1))] as const);
    }),
  );
});

/** undefined: without it. */
export function choose(name: string, scale: number | undefined) {
  const next = new Map(chosen.value);
  if (scale === undefined) next.delete(name);
  else next.set(name, scale);
  set("lora", [...next].map(([each, at]) => (at === 1 ? each : `${each}:${at}`)).join(","));
}

export async function refreshAdapters() {
  try {
    adapters.value = (await api.adapters()).adapters;
  } catch (error) {
    sayError(error);
  }
}

export async function addAdapter(file: File) {
  try {
    const { name } = await api.addAdapter(file);
    await refreshAdapters();
    choose(name, 1);
    say("good", t("adapters.added", { name }));
  } catch (error) {
    sayError(error);
  }
}

export async function removeAdapter(name: string) {
  try {
    await api.removeAdapter(name);
    choose(name, undefined);
    await refreshAdapters();
    say("note", t("adapters.removed", { name }));
  } catch (error) {
    sayError(error);
  }
}
