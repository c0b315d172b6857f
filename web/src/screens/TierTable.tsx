/** Limits and defaults of all tiers, as the server would set them for this machine. */
import { useState } from "preact/hooks";
import { api } from "../api/client";
import type { Info } from "../api/types";
import { sayError } from "../state/notices";
import { valueLabel } from "../state/params";
import { control, info } from "../state/system";
import { t } from "../state/text";

/** With the language model, and without it. */
function pair(now: Info, name: "max_duration" | "max_batch_size"): string {
  return `${now.limits[`${name}_with_lm`]} / ${now.limits[`${name}_without_lm`]}`;
}

const sizes = (now: Info) => Object.keys((now.limits.lm_memory_gb as object | undefined) ?? {}).join(" ") || "–";
const switched = (now: Info, name: string) => valueLabel(name, now.controls[name]?.value ?? false);
const weights = (now: Info) => (now.controls.quantization?.value === "none" ? t("value.false") : "INT8");

const COLUMNS = [
  { key: "tiers.lm", show: sizes },
  { key: "tiers.backend", show: (now: Info) => String(now.controls.backend?.value ?? "") },
  { key: "tiers.offload", show: (now: Info) => switched(now, "offload_to_cpu") },
  { key: "tiers.offloadDit", show: (now: Info) => switched(now, "offload_dit_to_cpu") },
  { key: "tiers.weights", show: weights },
  { key: "tiers.seconds", show: (now: Info) => pair(now, "max_duration") },
  { key: "tiers.songs", show: (now: Info) => pair(now, "max_batch_size") },
] as const;

async function readAll(): Promise<Info[]> {
  const labels = (control("tier")?.choices ?? []).map(String);
  const all = await Promise.all(labels.map((label) => api.system({ tier: label.split(" ")[0]! })));
  return all.map((each) => each.info);
}

export function TierTable() {
  const [tiers, setTiers] = useState<Info[]>([]);
  const onToggle = (event: Event) => {
    if ((event.currentTarget as HTMLDetailsElement).open && tiers.length === 0) readAll().then(setTiers, sayError);
  };
  return (
    <details class="card fold" id="tiers" onToggle={onToggle}>
      <summary>
        <h2>{t("tiers.title")}</h2>
      </summary>
      <div class="scroll" tabIndex={0} role="group" aria-label={t("tiers.title")}>
        <table class="tiers">
          <thead>
            <tr>
              <th scope="col">{t("system.tier")}</th>
              {COLUMNS.map(({ key }) => (
                <th scope="col" key={key}>
                  {t(key)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tiers.map((each) => (
              <tr key={each.label} aria-current={each.label === info.value?.label ? "true" : undefined}>
                <th scope="row">{each.label}</th>
                {COLUMNS.map(({ key, show }) => (
                  <td key={key}>{show(each)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="help">{t("tiers.about")}</p>
    </details>
  );
}
