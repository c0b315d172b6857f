/** The words of the page. English is part of the bundle; other languages are fetched when chosen. */
import { computed, effect, signal } from "@preact/signals";
import english from "../text/en.json";
import { stored } from "./stored";

export type TextKey = keyof typeof english;
type Texts = Partial<Record<string, string>>;

function fromBrowser(): string {
  const offered = LANGUAGES.map(([code]) => code);
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]!);
  return wanted.find((code) => offered.includes(code)) ?? "en";
}

/** "" follows the browser. */
export const languageChoice = stored("language", "");
const wanted = computed(() => languageChoice.value || fromBrowser());
const current = signal<{ code: string; texts: Texts }>({ code: "en", texts: english });

/** The language that is shown. */
export const language = computed(() => current.value.code);

async function change(code: string) {
  if (code === current.peek().code) return;
  let texts: Texts = english;
  if (code !== "en") {
    try {
      texts = await (await fetch(`${code}.json`)).json();
    } catch {
      return; // the server is away: the language stays
    }
  }
  if (wanted.peek() === code) current.value = { code, texts };
}

effect(() => void change(wanted.value));
effect(() => {
  document.documentElement.lang = current.value.code;
});

/** A text of the page, its {holes} filled. */
export function t(key: TextKey, holes: Record<string, string | number> = {}): string {
  const text = current.value.texts[key] ?? english[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(holes[name] ?? ""));
}

/** A text whose key comes from the server's words, where there is one. */
export function maybe(key: string): string | undefined {
  return current.value.texts[key] ?? (english as Texts)[key];
}

export const number = (value: number, digits = 0) =>
  new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);

/** 1:05, for a length or a place in a song. */
export function clock(seconds: number, tenths = false): string {
  const sign = seconds < 0 ? "−" : "";
  const whole = tenths ? Math.round(Math.abs(seconds) * 10) / 10 : Math.round(Math.abs(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = (whole - minutes * 60).toFixed(tenths ? 1 : 0);
  return `${sign}${minutes}:${rest.padStart(tenths ? 4 : 2, "0")}`;
}

/** How long something takes, in words: "about 40 s". */
export function span(seconds: number): string {
  if (seconds < 1) return t("time.moment");
  if (seconds < 90) return t("time.seconds", { n: number(seconds) });
  if (seconds < 5400) return t("time.minutes", { n: number(seconds / 60) });
  return t("time.hours", { n: number(seconds / 3600, 1) });
}

export function bytes(count: number): string {
  const mega = count / 1024 ** 2;
  if (mega < 1) return `${number(count / 1024)} KB`;
  return mega < 1000 ? `${number(mega, mega < 10 ? 1 : 0)} MB` : `${number(mega / 1024, 1)} GB`;
}

export function when(seconds: number): string {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(language.value, {
    ...(today ? {} : { day: "numeric", month: "short" }),
    hour: "2-digit",
    minute: "2-digit",
  }).format(date);
}

export function languageName(code: string): string {
  if (!code || code === "unknown") return t("music.any");
  try {
    return new Intl.DisplayNames(language.value, { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
