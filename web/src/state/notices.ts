/** Short messages: shown for a while, and read out by screen readers. */
import { signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { t } from "./text";

export interface Notice {
  id: number;
  kind: "good" | "note" | "bad";
  text: string;
  hint?: string | undefined;
  about?: string | undefined; // a later message about the same takes its place
}

const SHOWN = 6000;
let count = 0;
export const notices = signal<Notice[]>([]);

export function dismiss(id: number) {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Bad news stays until it is dismissed. */
export function say(kind: Notice["kind"], text: string, hint?: string, about?: string) {
  const id = ++count;
  const stays = (notice: Notice) => notice.text !== text && (about === undefined || notice.about !== about);
  notices.value = [...notices.value.filter(stays).slice(-3), { id, kind, text, hint, about }];
  if (kind !== "bad") setTimeout(() => dismiss(id), SHOWN);
}

/** A value that was brought within its limits: which limits, where it is the card's. */
export function sayClamped(what: string, asked: string, used: string, tier?: string) {
  const limit = tier ? ` ${t("limits.tier", { tier })}` : "";
  say("note", t("limits.clamped", { what, asked, used }) + limit, undefined, `limit of ${what}`);
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
