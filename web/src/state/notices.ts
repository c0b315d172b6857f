/** Short messages: shown for a while, and read out by screen readers. */
import { signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { t } from "./text";

export interface Notice {
  id: number;
  kind: "good" | "note" | "bad";
  text: string;
  hint?: string | undefined;
}

const SHOWN = 6000;
let count = 0;
export const notices = signal<Notice[]>([]);

export function dismiss(id: number) {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Bad news stays until it is dismissed. */
export function say(kind: Notice["kind"], text: string, hint?: string) {
  const id = ++count;
  const others = notices.value.filter((notice) => notice.text !== text).slice(-3);
  notices.value = [...others, { id, kind, text, hint }];
  if (kind !== "bad") setTimeout(() => dismiss(id), SHOWN);
}

export function sayError(error: unknown) {
  if ((error as Error).name === "AbortError") return;
  if (error instanceof ApiError) {
    if (error.status === 401) return; // the key dialog is there already
    say("bad", error.status === 0 ? t("server.unreachable") : error.message, error.hint);
  } else {
    say("bad", String((error as Error).message ?? error));
  }
}
