/** What the browser shows of the page elsewhere: the title of its tab, and the keys of keyboards and headsets. */
import { effect } from "@preact/signals";
import { queue } from "./jobs";
import { playing, seek, step, toggle, track } from "./player";

/** How far the song is that is being made; else what is played. */
effect(() => {
  const running = queue.value.find((job) => job.status === "running");
  const share = running?.progress?.whole;
  const words = [
    share === undefined ? "" : `${Math.round(share * 100)} %`,
    playing.value && track.value ? `▶ ${track.value.name}` : "",
    "acestep",
  ];
  document.title = words.filter(Boolean).join(" · ");
});

const session = navigator.mediaSession as MediaSession | undefined;

effect(() => {
  if (!session) return;
  session.metadata = track.value ? new MediaMetadata({ title: track.value.name, artist: "acestep" }) : null;
  session.playbackState = track.value ? (playing.value ? "playing" : "paused") : "none";
});

session?.setActionHandler("play", () => toggle());
session?.setActionHandler("pause", () => toggle());
session?.setActionHandler("previoustrack", () => step(-1));
session?.setActionHandler("nexttrack", () => step(1));
session?.setActionHandler("seekto", ({ seekTime }) => seek(seekTime ?? 0));
