/** Recordings on their way to the server. */
import { signal } from "@preact/signals";
import { ApiError, upload } from "../api/client";
import { shortOutline } from "../api/peaks";
import type { Sound } from "../api/types";
import { sayError } from "./notices";

export interface Upload {
  number: number;
  name: string;
  fraction: number;
  cancel: () => void;
}

export const uploads = signal<Upload[]>([]);
let count = 0;

const AUDIO = /\.(wav|flac|mp3|ogg|oga|opus|m4a|aac|aiff?|wma|webm)$/i;

export const isAudio = (file: File) => file.type.startsWith("audio/") || AUDIO.test(file.name);
export const isJson = (file: File) => file.type === "application/json" || /\.json$/i.test(file.name);

/** undefined: it was cancelled, or failed and that was said. */
export function send(file: File): Promise<Sound | undefined> {
  const number = ++count;
  return new Promise((resolve) => {
    const end = (sound?: Sound) => {
      uploads.value = uploads.value.filter((each) => each.number !== number);
      resolve(sound);
    };
    const abort = upload(
      file,
      (fraction) => {
        uploads.value = uploads.value.map((each) => (each.number === number ? { ...each, fraction } : each));
      },
      (result) => {
        if (result instanceof ApiError) {
          sayError(result);
          end();
        } else {
          end({ ...result, name: result.name || file.name, peaks: shortOutline(result.peaks) });
        }
      },
    );
    const cancel = () => {
      abort();
      end();
    };
    uploads.value = [...uploads.value, { number, name: file.name, fraction: 0, cancel }];
  });
}
