/** Keys of the whole page. Those of one letter act only where nothing is being typed, and can be turned off. */
import { make } from "./state/actions";
import { getNumber, has, sounds } from "./state/form";
import { dialog, screen, SCREENS, show, singleKeys } from "./state/look";
import { lyricsShown } from "./state/lyrics";
import { muted, position, seek, step, toggle, track } from "./state/player";
import { regionOf, setRegion } from "./parts/Region";
import type { TextKey } from "./state/text";

export const SHORTCUTS: { keys: string[]; text: TextKey }[] = [
  { keys: ["Ctrl", "Enter"], text: "key.make" },
  { keys: ["Space"], text: "key.play" },
  { keys: ["←", "→"], text: "key.seek" },
  { keys: ["Shift", "←/→"], text: "key.step" },
  { keys: ["["], text: "key.regionStart" },
  { keys: ["]"], text: "key.regionEnd" },
  { keys: ["M"], text: "key.mute" },
  { keys: ["L"], text: "key.lyrics" },
  { keys: ["/"], text: "key.search" },
  { keys: ["1", "…", "4"], text: "key.screens" },
  { keys: ["?"], text: "key.help" },
];

const NEEDS_KEYS = "input, textarea, select, button, a, summary, [role=slider], [contenteditable]";

function searchSongs() {
  if (screen.value !== "library") show("library");
  setTimeout(() => document.getElementById("search")?.focus(), 50);
}

function setEnd(which: "start" | "end") {
  const source = sounds.value.src_audio;
  if (!source || !has("repainting_start") || track.value?.id !== source.id) return;
  const [start, end] = regionOf(source);
  const at = position.value;
  if (which === "start") setRegion(source, at, getNumber("repainting_end") < 0 ? source.seconds : Math.max(end, at));
  else setRegion(source, Math.min(start, at), at);
}

const single: Record<string, () => void> = {
  "[": () => setEnd("start"),
  "]": () => setEnd("end"),
  m: () => (muted.value = !muted.value),
  l: () => (lyricsShown.value = !lyricsShown.value),
  "/": searchSongs,
  "?": () => (dialog.value = "help"),
  ...Object.fromEntries(SCREENS.map((name, index) => [String(index + 1), () => show(name)])),
};

export function listenForKeys() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || dialog.value || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      void make();
      return;
    }
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const busy = target.closest(NEEDS_KEYS) !== null;
    const typing = target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select") !== null;
    if (event.key === " " && !busy && track.value) {
      event.preventDefault();
      toggle();
    } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && !busy && track.value) {
      event.preventDefault();
      const by = event.key === "ArrowRight" ? 1 : -1;
      if (event.shiftKey) step(by);
      else seek(position.value + 5 * by);
    } else if (singleKeys.value && !typing && single[event.key]) {
      event.preventDefault();
      single[event.key]!();
    }
  });
}
