/** Everything else the option table has, folded away. */
import type { Mode } from "../../api/types";
import { OptionField, SelectField } from "../../parts/inputs";
import { isSet } from "../../state/form";
import { modeFields, params } from "../../state/params";
import { control } from "../../state/system";
import { t, type TextKey } from "../../state/text";

const GROUPS = ["sampling", "lm", "editing", "output", "engine", "memory"] as const;

/** Where files lie and how the program itself is run: not for a song. The server refuses them as well. */
const SERVER = new Set([
  "output", "overwrite", "sidecar", "models", "weights", "device", "gpu", "threads", "cpu", "exec", "cache",
  "cache_limit", "cache_dir", "gpu_tiers", "genres", "noise_grid", "limits", "int8_compute", "precision", "lora",
  "plugin_dir", "cublas",
]);
/** Shown elsewhere in the form. */
const ELSEWHERE = new Set([
  "sample_query", "use_format", "repainting_start", "repainting_end", "repaint_mode", "repaint_strength",
  "audio_cover_strength", "cover_noise_strength", "no_fsq", "model", "instrumental",
]);

function Format() {
  const formats = (params.value?.formats ?? []).map(({ name }) => [name, name] as [string, string]);
  return <SelectField name="audio_format" choices={[["", t("value.auto")], ...formats]} />;
}

export function AdvancedPanel({ mode }: { mode: Mode }) {
  const shows = (name: string) => mode.fields.includes(name) || !modeFields.value.has(name);
  return (
    <>
      {GROUPS.map((group) => {
        const list = (params.value?.options ?? []).filter(
          (each) =>
            each.group === group &&
            (group !== "editing" || mode.fields.includes("src_audio")) &&
            !SERVER.has(each.name) &&
            !ELSEWHERE.has(each.name) &&
            shows(each.name) &&
            !control(each.name),
        );
        if (list.length === 0) return null;
        const changed = list.filter((each) => isSet(each.name)).length;
        return (
          <details class="card fold" key={group} id={`group-${group}`}>
            <summary>
              <h2>{t(`group.${group}` as TextKey)}</h2>
              {changed > 0 && <span class="chip">{t("group.changed", { n: changed })}</span>}
            </summary>
            <div class="grid">
              {list.map((each) =>
                each.name === "audio_format" ? <Format key={each.name} /> : <OptionField key={each.name} name={each.name} />,
              )}
            </div>
          </details>
        );
      })}
    </>
  );
}
