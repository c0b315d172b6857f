/** What the plan's picture shows: a bar for each stage, made of the components it holds on the card. */
import type { Plan } from "../api/types";

/** In the order in which they are stacked; the style has a colour for each. */
export const BANDS = ["LM", "TE", "VE", "CE", "TK", "DK", "DD", "DC", "AD", "VD", "work", "other", "device"] as const;
export type Band = (typeof BANDS)[number];

export interface Bar {
  name: string; // as the server calls it
  stage: string; // its key
  total: number;
  seconds: number;
  parts: { band: Band; bytes: number; before: number }[];
}

export interface Bars {
  bars: Bar[];
  bands: Band[]; // that occur
  scale: number; // bytes at the far end
  cap: number; // 0: the device has no limit of its own
  capShown: boolean;
}

const isBand = (name: string): name is Band => (BANDS as readonly string[]).includes(name);

export function barsOf(plan: Plan): Bars {
  const bars = plan.stages
    .filter((stage) => stage.peak_bytes > 0)
    .map((stage) => {
      const held: Partial<Record<Band, number>> = {};
      let named = 0;
      for (const [name, bytes] of Object.entries(stage.components)) {
        const band = isBand(name) ? name : "other";
        held[band] = (held[band] ?? 0) + bytes;
        named += bytes;
      }
      held.work = Math.max(0, stage.peak_bytes - named);
      held.device = plan.workspace_bytes;
      let before = 0;
      const parts = BANDS.filter((band) => (held[band] ?? 0) > 0).map((band) => {
        const part = { band, bytes: held[band]!, before };
        before += part.bytes;
        return part;
      });
      return { name: stage.name, stage: stage.stage, total: before, seconds: stage.load_seconds + stage.compute_seconds, parts };
    });
  const peak = Math.max(1, ...bars.map((bar) => bar.total));
  // a limit so far away that nothing could be seen beside it is told in words
  const capShown = plan.cap_bytes > 0 && plan.cap_bytes < peak * 5;
  const scale = capShown ? Math.max(plan.cap_bytes, peak) * 1.04 : peak * 1.12;
  const bands = BANDS.filter((band) => bars.some((bar) => bar.parts.some((part) => part.band === band)));
  return { bars, bands, scale, cap: plan.cap_bytes, capShown };
}
