/** What the server says the form would take: memory, time, warnings. Asked again whenever it changes. */
import { computed, effect, signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { DryRun } from "../api/types";
import { missing, request, sounds } from "./form";
import { params } from "./params";
import { online } from "./server";

const PAUSE = 250; // while a slider moves

export const plan = signal<DryRun | null>(null);
export const planError = signal("");
export const planning = signal(false);

/** A recording that is not there yet: nothing can be planned. */
const waits = computed(() => missing.value.includes("src_audio") && !sounds.value.src_audio);
const asked = computed(() =>
  params.value && online.value && !waits.value ? JSON.stringify(request.value) : "",
);

let running: AbortController | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

async function ask(text: string) {
  const mine = (running = new AbortController());
  try {
    const next = await api.dryRun(JSON.parse(text), mine.signal);
    if (running !== mine) return;
    plan.value = next;
    planError.value = "";
  } catch (error) {
    if (running !== mine || (error as Error).name === "AbortError") return;
    const known = error instanceof ApiError && error.status !== 0;
    planError.value = known ? error.message : "";
  }
  planning.value = false;
}

effect(() => {
  const text = asked.value;
  clearTimeout(timer);
  running?.abort();
  running = null;
  if (!text) {
    plan.value = null;
    planError.value = "";
    planning.value = false;
    return;
  }
  planning.value = true;
  timer = setTimeout(() => void ask(text), PAUSE);
});
