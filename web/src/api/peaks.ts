/** What a waveform is drawn from. */
import { api } from "./client";
import type { Peaks } from "./types";

/** Loudness of each pair, 0 … 1, whatever the number of channels. */
export type Outline = Float32Array;

const cache = new Map<string, Promise<Outline>>();
const KEPT = 300;

/** An array for each channel, or one with the pairs of all channels in turn. */
export function outline(peaks: Peaks): Outline {
  const nested = Array.isArray(peaks.minimum[0]);
  const low = (nested ? peaks.minimum : [peaks.minimum]) as number[][];
  const high = (nested ? peaks.maximum : [peaks.maximum]) as number[][];
  const out = new Float32Array(high[0]?.length ?? 0);
  for (let channel = 0; channel < high.length; channel++)
    for (let i = 0; i < out.length; i++)
      out[i] = Math.max(out[i]!, Math.abs(low[channel]![i]!), Math.abs(high[channel]![i]!));
  return out;
}

/** Short enough to be kept with the form. */
export function shortOutline(peaks: Peaks, length = 600): number[] {
  const full = outline(peaks);
  const bars = Math.min(length, full.length);
  return Array.from({ length: bars }, (_, bar) => {
    const part = full.subarray(Math.floor((bar / bars) * full.length), Math.ceil(((bar + 1) / bars) * full.length));
    return Math.round(part.reduce((most, each) => Math.max(most, each), 0) * 1000) / 1000;
  });
}

export function loadOutline(path: string | number[]): Promise<Outline> {
  if (typeof path !== "string") return Promise.resolve(Float32Array.from(path));
  const known = cache.get(path);
  if (known) return known;
  const coming = api.peaks(path).then(outline);
  coming.catch(() => cache.delete(path));
  cache.set(path, coming);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value!);
  return coming;
}
