/** The address of a song's audio, in a format that this browser plays: not every one knows Ogg. */
import { audioAs } from "../api/client";
import type { Item } from "../api/types";
import { params } from "./params";

const INSTEAD = ["flac", "mp3"];
const CODECS: Record<string, string> = { opus: "opus", ogg: "vorbis" };

const ear = document.createElement("audio");

function isPlayed(format: string): boolean {
  const type = params.peek()?.formats.find((each) => each.name === format)?.media_type;
  const codecs = CODECS[format];
  return type === undefined || ear.canPlayType(codecs ? `${type}; codecs=${codecs}` : type) !== "";
}

export function playable(item: Item): string {
  if (isPlayed(item.format)) return item.audio;
  const other = INSTEAD.find(isPlayed);
  return other ? audioAs(item.audio, other) : item.audio;
}
