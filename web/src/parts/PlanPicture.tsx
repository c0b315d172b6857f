/** The plan as a picture: what each stage will hold on the card, under the card's limit. */
import { useState } from "preact/hooks";
import type { Plan } from "../api/types";
import { bytes, maybe, number, t } from "../state/text";
import { barsOf, type Band, type Bar } from "./planBars";

const bandName = (band: Band) => maybe(`band.${band}`) ?? band;
const stageName = (bar: Bar) => maybe(`phase.${bar.name}`) ?? bar.name;
const percent = (part: number, whole: number) => `${((part / whole) * 100).toFixed(3)}%`;

function BarRow({ bar, scale, peak, chosen }: { bar: Bar; scale: number; peak: boolean; chosen: Band | null }) {
  return (
    <div class={`plan-row ${peak ? "peak" : ""}`}>
      <span class="plan-name">{stageName(bar)}</span>
      <svg class="plan-bar" width="100%" height="18" focusable="false">
        {bar.parts.map((part) => (
          <rect
            key={part.band}
            class={`band-${part.band} ${chosen && chosen !== part.band ? "faint" : ""}`}
            x={percent(part.before, scale)}
            width={percent(part.bytes, scale)}
            height="18"
            data-bytes={part.bytes}
          >
            <title>{`${stageName(bar)}, ${bandName(part.band)}: ${bytes(part.bytes)}`}</title>
          </rect>
        ))}
      </svg>
      <span class="plan-total">{bytes(bar.total)}</span>
    </div>
  );
}

export function PlanPicture({ plan }: { plan: Plan }) {
  const [chosen, setChosen] = useState<Band | null>(null);
  const { bars, bands, scale, cap, capShown } = barsOf(plan);
  const most = Math.max(...bars.map((bar) => bar.total));
  return (
    <figure class="plan-picture">
      <div class={capShown ? "plan-rows capped" : "plan-rows"} aria-hidden="true">
        {bars.map((bar) => (
          <BarRow key={bar.stage} bar={bar} scale={scale} peak={bar.total === most} chosen={chosen} />
        ))}
        {capShown && (
          <div class="plan-cap">
            <div class="plan-cap-line" data-bytes={cap} style={{ insetInlineStart: percent(cap, scale) }}>
              <span>{t("plan.cap", { size: bytes(cap) })}</span>
            </div>
          </div>
        )}
      </div>
      {!capShown && (
        <p class="help">{cap > 0 ? t("plan.capFar", { size: bytes(cap) }) : t("plan.host", { size: bytes(plan.budget_bytes) })}</p>
      )}
      <ul class="legend" aria-hidden="true">
        {bands.map((band) => (
          <li key={band} onPointerEnter={() => setChosen(band)} onPointerLeave={() => setChosen(null)}>
            <svg width="10" height="10" class="dot">
              <rect class={`band-${band}`} width="10" height="10" rx="3" />
            </svg>
            {bandName(band)}
          </li>
        ))}
      </ul>
      <details class="plan-table">
        <summary>{t("plan.table")}</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={t("plan.table")}>
          <table>
            <caption class="hidden">{t("plan.caption", { size: bytes(most) })}</caption>
            <thead>
              <tr>
                <th scope="col">{t("plan.stage")}</th>
                {bands.map((band) => (
                  <th scope="col" key={band}>
                    {bandName(band)}
                  </th>
                ))}
                <th scope="col">{t("plan.sum")}</th>
                <th scope="col">{t("plan.time")}</th>
              </tr>
            </thead>
            <tbody>
              {bars.map((bar) => (
                <tr key={bar.stage}>
                  <th scope="row">{stageName(bar)}</th>
                  {bands.map((band) => {
                    const part = bar.parts.find((each) => each.band === band);
                    return <td key={band}>{part ? bytes(part.bytes) : "–"}</td>;
                  })}
                  <td>{bytes(bar.total)}</td>
                  <td>{number(bar.seconds, bar.seconds < 10 ? 2 : 0)} s</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
