/** Draws a recording's peaks on a canvas, as rounded bars. */
import type { Outline } from "../api/peaks";

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
    const box = [left + bar * STEP, (height - tall) / 2, BAR, tall] as const;
    if (paint.roundRect) paint.roundRect(...box, BAR / 2);
    else paint.rect(...box); // browsers of 2022
    paint.fill();
  }
}
