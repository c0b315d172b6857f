/** Draws a recording's peaks on a canvas, as rounded bars. */
import { api } from "../api/client";
import type { Peaks } from "../api/types";

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

export function loadOutline(path: string): Promise<Outline> {
  const known = cache.get(path);
  if (known) return known;
  const coming = api.peaks(path).then(outline);
  coming.catch(() => cache.delete(path));
  cache.set(path, coming);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value!);
  return coming;
}

const BAR = 3; // css pixels, and as much between two as half of that
const STEP = 4.5;

export function draw(
  canvas: HTMLCanvasElement,
  data: Outline | null,
  colours: { rest: string; played: string },
  played: number, // 0 … 1
  from = 0, // the part of the width that the recording takes
  to = 1,
) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0 || height === 0) return;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const paint = canvas.getContext("2d")!;
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  paint.clearRect(0, 0, width, height);
  const left = from * width;
  const room = (to - from) * width;
  const bars = Math.max(1, Math.floor(room / STEP));
  for (let bar = 0; bar < bars; bar++) {
    let loud = 0;
    if (data && data.length > 0) {
      const first = Math.floor((bar / bars) * data.length);
      const last = Math.max(first + 1, Math.floor(((bar + 1) / bars) * data.length));
      for (let i = first; i < last && i < data.length; i++) loud = Math.max(loud, data[i]!);
    }
    const tall = Math.max(BAR, Math.min(1, loud) * (height - 2));
    paint.fillStyle = (bar + 0.5) / bars <= played ? colours.played : colours.rest;
    paint.beginPath();
    paint.roundRect(left + bar * STEP, (height - tall) / 2, BAR, tall, BAR / 2);
    paint.fill();
  }
}
