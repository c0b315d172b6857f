/** One player for the whole page. */
import { computed, signal } from "@preact/signals";
import { say, sayError } from "./notices";
import { stored } from "./stored";
import { t } from "./text";

export interface Track {
  id: string; // "j_…/0", "u_…"
  name: string;
  audio: string;
  peaks: string | number[];
  seconds: number;
}

export const volume = stored("volume", 0.9);
export const muted = stored("muted", false);
export const track = signal<Track | null>(null);
export const playing = signal(false);
export const position = signal(0);
/** What "next" and "previous" go through. */
export const playlist = signal<Track[]>([]);

const element = new Audio();
element.preload = "auto";
let until = Infinity; // a part is played: where it ends

element.addEventListener("play", () => (playing.value = true));
element.addEventListener("pause", () => (playing.value = false));
element.addEventListener("error", () => {
  playing.value = false;
});
element.addEventListener("ended", () => {
  playing.value = false;
  step(1);
});

function watch() {
  position.value = element.currentTime;
  if (element.currentTime >= until) {
    until = Infinity;
    element.pause();
  }
  if (playing.peek()) requestAnimationFrame(watch);
}
element.addEventListener("play", () => requestAnimationFrame(watch));
element.addEventListener("timeupdate", () => (position.value = element.currentTime));

volume.subscribe((value) => (element.volume = value));
muted.subscribe((value) => (element.muted = value));

async function start() {
  try {
    await element.play();
  } catch (error) {
    if ((error as Error).name === "NotSupportedError") say("bad", t("player.cannot", { name: track.peek()?.name ?? "" }));
    else sayError(error);
  }
}

/** Plays a track, or a part of it. */
export function play(next: Track, from?: number, to?: number) {
  if (track.peek()?.id !== next.id) {
    element.src = next.audio;
    track.value = next;
    position.value = 0;
  }
  if (from !== undefined) {
    element.currentTime = Math.max(0, from);
    position.value = Math.max(0, from); // until it has begun to play
  }
  until = to ?? Infinity;
  void start();
}

/** Another recording at the same place: the one before and the one after, side by side. */
export function swap(next: Track) {
  const at = position.peek();
  play(next, Math.min(at, next.seconds));
}

export function toggle(next?: Track) {
  if (next && track.peek()?.id !== next.id) return play(next);
  if (!track.peek()) return;
  until = Infinity;
  if (element.paused) void start();
  else element.pause();
}

export function seek(seconds: number) {
  const now = track.peek();
  if (!now) return;
  until = Infinity;
  element.currentTime = Math.max(0, Math.min(now.seconds, seconds));
  position.value = element.currentTime;
}

export function step(by: number) {
  const list = playlist.peek();
  const at = list.findIndex((each) => each.id === track.peek()?.id);
  const next = at < 0 ? undefined : list[at + by];
  if (next) play(next);
}

export function stop() {
  element.pause();
  element.removeAttribute("src");
  track.value = null;
}

export const isPlaying = (id: string) => playing.value && track.value?.id === id;
export const fraction = computed(() =>
  track.value && track.value.seconds > 0 ? Math.min(1, position.value / track.value.seconds) : 0,
);
