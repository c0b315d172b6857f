/** The form on the left; what it would take, what waits and what was made on the right. */
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { make, submitting } from "../state/actions";
import { mode } from "../state/form";
import { plan, planning } from "../state/plan";
import { may } from "../state/session";
import { bytes, span, t } from "../state/text";
import { AdapterPanel } from "./create/AdapterPanel";
import { AdvancedPanel } from "./create/AdvancedPanel";
import { DemoHint } from "./create/DemoHint";
import { EnginePanel } from "./create/EnginePanel";
import { FormHead } from "./create/FormHead";
import { ModeTabs } from "./create/ModeTabs";
import { MusicPanel } from "./create/MusicPanel";
import { PlanPanel } from "./create/PlanPanel";
import { QueuePanel, RecentPanel } from "./create/QueuePanel";
import { SongPanel } from "./create/SongPanel";

function MakeBar() {
  const now = plan.value;
  const songs = now?.plan?.songs ?? 0;
  return (
    <div class="make-bar">
      <p class="forecast" aria-live="off">
        {!may("generate") ? (
          <span class="quiet">{t("rights.read")}</span>
        ) : now?.plan ? (
          <>
            <strong>{now.seconds === null ? t("plan.unknownTime") : t("plan.takes", { time: span(now.seconds) })}</strong>
            <span class="quiet">
              {t(songs === 1 ? "plan.one" : "plan.many", { n: songs })} · {t("plan.peak", { size: bytes(now.plan.peak_bytes) })}
            </span>
          </>
        ) : (
          <span class="quiet">{planning.value ? t("plan.working") : t("plan.none")}</span>
        )}
      </p>
      <Button kind="main" icon="sparkles" id="make" disabled={submitting.value || !mode.value || !may("generate")} onClick={() => void make()}>
        {t("make")}
      </Button>
    </div>
  );
}

export function Create() {
  const now = mode.value;
  return (
    <div class="create">
      <section class="form" aria-label={t("create.form")}>
        <FormHead />
        <DemoHint />
        <ModeTabs />
        {now && (
          <div class="panels" id="form-panels" key={now.name}>
            <SongPanel mode={now} />
            <MusicPanel mode={now} />
            <EnginePanel />
            <AdapterPanel />
            <AdvancedPanel mode={now} />
          </div>
        )}
        <MakeBar />
      </section>
      <div class="side">
        <PlanPanel />
        <QueuePanel />
        <RecentPanel />
        <p class="drop-hint quiet">
          <Icon name="upload" size={14} /> {t("create.dropHint")}
        </p>
      </div>
    </div>
  );
}
