/** The part of a recording that is to be made anew: dragged on its waveform, moved with the arrow keys, or
 *  typed. It may reach beyond both ends, where the song then grows. */
import { useRef } from "preact/hooks";
import type { Sound } from "../api/types";
import { get, getNumber, set } from "../state/form";
import { option } from "../state/params";
import { isPlaying, play, position, toggle, track } from "../state/player";
import { clock, t } from "../state/text";
import { Button } from "./Button";
import { Field } from "./Field";
import { NumberInput } from "./NumberInput";
import { Waveform } from "./Waveform";

const SHORTEST = 0.5; // s
const tenth = (seconds: number) => Math.round(seconds * 10) / 10;

/** Start and end in seconds; an end of -1 stands for the recording's own. */
export function regionOf(sound: Sound): [number, number] {
  const end = getNumber("repainting_end");
  return [getNumber("repainting_start"), end < 0 ? sound.seconds : end];
}

export function setRegion(sound: Sound, start: number, end: number) {
  const first = option("repainting_start")?.minimum ?? 0;
  const last = option("repainting_end")?.maximum ?? sound.seconds;
  const a = Math.max(first, Math.min(last, tenth(Math.min(start, end))));
  const b = Math.max(first, Math.min(last, tenth(Math.max(start, end))));
  set("repainting_start", a);
  set("repainting_end", Math.abs(b - sound.seconds) < 0.05 && a >= 0 ? -1 : Math.max(b, tenth(a + SHORTEST)));
}

type Grip = "new" | "start" | "end" | "both";

export function Region({ sound }: { sound: Sound }) {
  const box = useRef<HTMLDivElement>(null);
  const drag = useRef<{ grip: Grip; at: number; from: number; to: number } | null>(null);
  const [start, end] = regionOf(sound);
  const whole = get("repainting_start") === 0 && getNumber("repainting_end") < 0;

  // what is shown: the recording with some room on both sides, and all of the region
  const room = Math.max(2, sound.seconds * 0.08);
  const first = Math.min(-room, start - room / 2);
  const last = Math.max(sound.seconds + room, end + room / 2);
  const place = (seconds: number) => (seconds - first) / (last - first);
  const percent = (seconds: number) => `${(place(seconds) * 100).toFixed(3)}%`;

  function secondsAt(event: PointerEvent): number {
    const area = box.current!.getBoundingClientRect();
    return first + ((event.clientX - area.left) / area.width) * (last - first);
  }

  function onPointerDown(event: PointerEvent) {
    if (event.button !== 0) return;
    const grip = ((event.target as HTMLElement).dataset.grip as Grip) ?? "new";
    box.current!.setPointerCapture(event.pointerId);
    drag.current = { grip, at: secondsAt(event), from: start, to: end };
  }

  function onPointerMove(event: PointerEvent) {
    const held = drag.current;
    if (!held) return;
    const now = secondsAt(event);
    const by = now - held.at;
    if (held.grip === "new" && Math.abs(by) * box.current!.clientWidth < 4 * (last - first)) return;
    if (held.grip === "new") setRegion(sound, held.at, now);
    else if (held.grip === "both") setRegion(sound, held.from + by, held.to + by);
    else if (held.grip === "start") setRegion(sound, now, held.to);
    else setRegion(sound, held.from, now);
  }

  function onPointerUp(event: PointerEvent) {
    const held = drag.current;
    drag.current = null;
    if (held?.grip === "new" && Math.abs(secondsAt(event) - held.at) * box.current!.clientWidth < 4 * (last - first))
      play(sound, Math.max(0, Math.min(sound.seconds, held.at))); // a click, not a drag
  }

  function onKeyDown(event: KeyboardEvent, grip: Grip) {
    const by = { ArrowLeft: -0.1, ArrowRight: 0.1, PageDown: -1, PageUp: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const step = event.shiftKey ? by * 10 : by;
    if (grip === "start") setRegion(sound, Math.min(start + step, end - SHORTEST), end);
    else if (grip === "end") setRegion(sound, start, Math.max(end + step, start + SHORTEST));
    else setRegion(sound, start + step, end + step);
  }

  const handle = (grip: "start" | "end", at: number) => (
    <button
      type="button"
      role="slider"
      class={`grip ${grip}`}
      data-grip={grip}
      aria-label={t(grip === "start" ? "region.start" : "region.end")}
      aria-orientation="horizontal"
      aria-valuemin={Math.floor(first)}
      aria-valuemax={Math.ceil(last)}
      aria-valuenow={tenth(at)}
      aria-valuetext={clock(at, true)}
      onKeyDown={(event) => onKeyDown(event, grip)}
    />
  );

  const here = track.value?.id === sound.id;
  return (
    <div class="region">
      <div
        class="region-wave"
        ref={box}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={() => (drag.current = null)}
      >
        <Waveform
          peaks={sound.peaks}
          seconds={sound.seconds}
          position={here ? position.value : 0}
          label={t("wave.of", { name: sound.name })}
          from={place(0)}
          to={place(sound.seconds)}
        />
        <div class={`region-mark ${whole ? "whole" : ""}`} data-grip={whole ? "new" : "both"} style={{ left: percent(start), width: `${((place(end) - place(start)) * 100).toFixed(3)}%` }}>
          {handle("start", start)}
          {handle("end", end)}
        </div>
        {here && <div class="playhead" style={{ left: percent(position.value) }} />}
      </div>
      <div class="region-scale" aria-hidden="true">
        <span style={{ left: percent(0) }}>0:00</span>
        <span style={{ left: percent(sound.seconds / 2) }}>{clock(sound.seconds / 2)}</span>
        <span style={{ left: percent(sound.seconds) }}>{clock(sound.seconds)}</span>
      </div>
      <p class="region-words" role="status">
        {whole
          ? t("region.whole")
          : t("region.part", { start: clock(start, true), end: clock(end, true), length: clock(end - start, true) })}
        {end > sound.seconds + 0.05 && ` ${t("region.longer", { n: tenth(end - sound.seconds) })}`}
        {start < -0.05 && ` ${t("region.before", { n: tenth(-start) })}`}
      </p>
      <p class="help">{t("region.one")}</p>
      <div class="row region-fields">
        <Field name="repainting_start" title={t("region.from")} showHelp={false}>
          {(described) => (
            <NumberInput
              described={described}
              label={t("region.from")}
              value={start}
              minimum={option("repainting_start")?.minimum ?? 0}
              maximum={end - SHORTEST}
              step={0.1}
              onChange={(next) => setRegion(sound, next ?? 0, end)}
            />
          )}
        </Field>
        <Field name="repainting_end" title={t("region.to")} showHelp={false}>
          {(described) => (
            <NumberInput
              described={described}
              label={t("region.to")}
              value={tenth(end)}
              minimum={start + SHORTEST}
              maximum={option("repainting_end")?.maximum ?? sound.seconds}
              step={0.1}
              onChange={(next) => setRegion(sound, start, next ?? sound.seconds)}
            />
          )}
        </Field>
        <div class="row region-buttons">
          <Button icon={isPlaying(sound.id) ? "pause" : "play"} onClick={() => (isPlaying(sound.id) ? toggle() : play(sound, start, end))}>
            {t("region.play")}
          </Button>
          <Button kind="quiet" icon="rotate" onClick={() => setRegion(sound, 0, sound.seconds)}>
            {t("region.all")}
          </Button>
        </div>
      </div>
    </div>
  );
}
