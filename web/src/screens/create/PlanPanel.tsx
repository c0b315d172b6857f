/** The forecast: memory as a picture, time, and what will be done otherwise than asked. */
import { PlanPicture } from "../../parts/PlanPicture";
import { Warnings } from "../../parts/Warnings";
import { missing } from "../../state/form";
import { plan, planError, planning } from "../../state/plan";
import { info } from "../../state/system";
import { bytes, clock, maybe, span, t } from "../../state/text";
import { cardName } from "./EnginePanel";

export function PlanPanel() {
  const now = plan.value;
  const known = now?.plan;
  return (
    <section class={`card plan ${planning.value ? "working" : ""}`} aria-labelledby="plan-title" aria-busy={planning.value}>
      <div class="card-head">
        <h2 id="plan-title">{t("plan.title")}</h2>
        {known && <span class="quiet">{info.value?.device.simulated ? cardName() : known.device}</span>}
      </div>
      {planError.value && <p class="fault">{planError.value}</p>}
      {!known && !planError.value && (
        <p class="quiet">
          {missing.value.includes("src_audio") ? t("plan.needsSource") : planning.value ? t("plan.working") : t("plan.none")}
        </p>
      )}
      {known && (
        <>
          <dl class="figures">
            <div>
              <dt>{t("plan.time")}</dt>
              <dd>{now.seconds === null ? "–" : span(now.seconds)}</dd>
            </div>
            <div>
              <dt>{t("plan.memory")}</dt>
              <dd>{bytes(known.peak_bytes)}</dd>
            </div>
            <div>
              <dt>{t("plan.audio")}</dt>
              <dd>
                {known.songs > 1 ? `${known.songs} × ` : ""}
                {clock(known.audio_seconds / Math.max(1, known.songs))}
              </dd>
            </div>
          </dl>
          <PlanPicture plan={known} />
          {maybe(`basis.${now.basis}`) && <p class="help">{maybe(`basis.${now.basis}`)}</p>}
          <Warnings list={now.warnings} />
        </>
      )}
    </section>
  );
}
