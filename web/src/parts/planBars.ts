/** What the plan's picture shows: a bar for each stage, made of the components it holds on the card. */
import type { Plan } from "../api/types";

/** In the order in which they are stacked; the style has a colour for each. */
export const BANDS = ["LM", "TE", "VE", "CE", "TK", "DK", "DD", "AD", "VD", "work", "other", "device"] as const;
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

const PARTS: Record<string, Band> = { DC: "DD", LORA: "AD" }; // of the diffusion transformer both, and adapters

function bandOf(component: string): Band {
  if (PARTS[component]) return PARTS[component];
  return (BANDS as readonly string[]).includes(component) ? (component as Band) : "other";
}

export function barsOf(plan: Plan): Bars {
  const bars = plan.stages
    .filter((stage) => stage.peak_bytes > 0)
    .map((stage) => {
      // at the peak; a component that passes through a window is never there as a whole
      const held: Partial<Record<Band, number>> = { device: plan.workspace_bytes };
      let left = stage.peak_bytes;
      const take = (band: Band, bytes: number) => {
        const taken = Math.min(bytes, left);
        held[band] = (held[band] ?? 0) + taken;
        left -= taken;
      };
      take("work", stage.work_bytes);
      for (const [name, bytes] of Object.entries(stage.components)) take(bandOf(name), bytes);
      take("other", left);
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
  const capShown = plan.cap_bytes > 0 && plan.cap_bytes <= peak * 4;
  const scale = capShown ? Math.max(plan.cap_bytes, peak) * 1.04 : peak * 1.12;
  const bands = BANDS.filter((band) => bars.some((bar) => bar.parts.some((part) => part.band === band)));
  return { bars, bands, scale, cap: plan.cap_bytes, capShown };
}
