/** The card behind the server: lost, back again, or done without. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { DeviceState } from "../api/types";
import { say, sayError } from "./notices";
import { t } from "./text";

export const device = signal<DeviceState | null>(null);
export const reopening = signal(false);

export async function refreshDevice() {
  try {
    const before = device.peek()?.state ?? "ok";
    const { device: now } = await api.health();
    device.value = now;
    if (before !== "ok" && now.state === "ok") say("good", t("device.back"));
  } catch (error) {
    sayError(error);
  }
}

/** The engine says what it does: once it is neither loading nor busy, the card has been opened or has not. */
export async function followDevice(engine: string) {
  await refreshDevice();
  if (engine !== "loading") reopening.value = false;
}

/** The server answers at once; its events tell when the card is there. */
export async function reopenDevice() {
  reopening.value = true;
  try {
    await api.reopen();
  } catch (error) {
    reopening.value = false;
    sayError(error);
  }
}
