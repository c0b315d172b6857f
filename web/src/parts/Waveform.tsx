/** A recording's waveform. With onSeek it is a slider too: click, arrow keys. */
import { useEffect, useRef, useState } from "preact/hooks";
import { loadOutline, type Outline } from "../api/peaks";
import { theme } from "../state/look";
import { clock } from "../state/text";
import { draw } from "./wave";

const dark = matchMedia("(prefers-color-scheme: dark)");

export function Waveform({
  peaks,
  seconds,
  position = 0,
  label,
  onSeek,
  from = 0,
  to = 1,
}: {
  peaks: string | number[];
  seconds: number;
  position?: number;
  label: string;
  onSeek?: (seconds: number) => void;
  from?: number;
  to?: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [data, setData] = useState<Outline | null>(null);
  const [, redraw] = useState(0);

  useEffect(() => {
    let here = true;
    setData(null);
    const load = () =>
      loadOutline(peaks).then(
        (found) => here && setData(found),
        () => undefined, // a song without a picture can still be heard
      );
    // far down in a list it is not needed yet
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      void load();
    });
    seen.observe(canvas.current!);
    return () => {
      here = false;
      seen.disconnect();
    };
  }, [peaks]);

  useEffect(() => {
    const again = () => redraw((n) => n + 1);
    const size = new ResizeObserver(again);
    size.observe(canvas.current!);
    dark.addEventListener("change", again);
    return () => {
      size.disconnect();
      dark.removeEventListener("change", again);
    };
  }, []);

  theme.value; // drawn again in the new colours
  useEffect(() => {
    const style = getComputedStyle(canvas.current!);
    const colours = { rest: style.getPropertyValue("--wave"), played: style.getPropertyValue("--wave-played") };
    draw(canvas.current!, data, colours, seconds > 0 ? position / seconds : 0, from, to);
  });

  if (!onSeek) return <canvas ref={canvas} class="wave" role="img" aria-label={label} />;
  return (
    <canvas
      ref={canvas}
      class="wave seekable"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.round(seconds)}
      aria-valuenow={Math.round(position)}
      aria-valuetext={clock(position)}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        onSeek(((event.clientX - box.left) / box.width) * seconds);
      }}
      onKeyDown={(event) => {
        const by = { ArrowLeft: -5, ArrowRight: 5, ArrowDown: -5, ArrowUp: 5, PageDown: -15, PageUp: 15 }[event.key];
        const at = event.key === "Home" ? 0 : event.key === "End" ? seconds : by === undefined ? null : position + by;
        if (at === null) return;
        event.preventDefault();
        event.stopPropagation();
        onSeek(Math.max(0, Math.min(seconds, at)));
      }}
    />
  );
}
