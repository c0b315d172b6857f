/** All songs that can be heard, the newest first: what the player goes through. */
import { itemSound } from "./actions";
import { songs } from "./jobs";
import type { Track } from "./player";

export function songTracks(): Track[] {
  return songs.peek().flatMap((job) => (job.items ?? []).filter((item) => item.audio).map((item) => itemSound(job, item)));
}
