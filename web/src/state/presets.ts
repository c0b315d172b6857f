/** Settings under a name, kept by the server. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { Values } from "../api/types";
import { commandOf } from "./command";
import { fill, has, request, sounds, values } from "./form";
import { say, sayError } from "./notices";
import { t } from "./text";

export const presets = signal<string[]>([]);

export async function refreshPresets() {
  try {
    presets.value = (await api.presets()).presets.map((each) => each.name);
  } catch (error) {
    sayError(error);
  }
}

/** The form without recordings: they belong to one song. */
export function settings(): Values {
  return { ...values.value, task_type: request.value.task_type ?? "text2music" };
}

/** The form as it would be asked for in a shell; recordings under the names of their files. */
export async function copyCommand() {
  const { src_latents: _, ...asked } = request.value;
  for (const [field, sound] of Object.entries(sounds.value)) if (has(field)) asked[field] = sound.name;
  const command = commandOf(asked);
  try {
    await navigator.clipboard.writeText(command);
    say("good", t("settings.copied"), command);
  } catch {
    say("note", command); // only pages with a safe address may copy
  }
}

export async function savePreset(name: string) {
  try {
    await api.savePreset(name, settings());
    say("good", t("preset.saved", { name }));
    await refreshPresets();
  } catch (error) {
    sayError(error);
  }
}

export async function applyPreset(name: string) {
  try {
    fill((await api.preset(name)).request);
    say("good", t("preset.applied", { name }));
  } catch (error) {
    sayError(error);
  }
}

export async function removePreset(name: string) {
  try {
    await api.removePreset(name);
    say("note", t("preset.removed", { name }));
    await refreshPresets();
  } catch (error) {
    sayError(error);
  }
}
