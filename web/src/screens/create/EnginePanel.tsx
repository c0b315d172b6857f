/** How the engine runs, set up for the card: each control as the server offers it, with the reason beside it. */
import { Button } from "../../parts/Button";
import { SelectField, SwitchRow, TextField } from "../../parts/inputs";
import { Warnings } from "../../parts/Warnings";
import { isSet } from "../../state/form";
import { remark, valueLabel } from "../../state/params";
import { choose, control, forget, info, standing, system } from "../../state/system";
import { usable } from "../../state/store";
import { number, t } from "../../state/text";
import { TierField } from "./TierField";

const SWITCHES = ["offload_to_cpu", "offload_dit_to_cpu", "compile_model", "use_flash_attention"] as const;
const ALL = ["tier", "init_llm", "lm_model_path", "backend", "quantization", ...SWITCHES];

const note = (text: string) => remark(text).text;

function Switch({ name }: { name: string }) {
  const at = control(name);
  if (!at) return null;
  return (
    <SwitchRow
      name={name}
      checked={standing(name) === true}
      disabled={at.disabled}
      note={note(at.note)}
      onChange={(on) => choose(name, on)}
    />
  );
}

/** INT8 is a switch for people: weights are quantised or they are not. */
function Quantization() {
  const at = control("quantization");
  if (!at) return null;
  const on = at.choices?.find((choice) => choice !== "none") ?? "int8_weight_only";
  return (
    <SwitchRow
      name="quantization"
      checked={standing("quantization") !== "none"}
      disabled={at.disabled}
      note={note(at.note)}
      onChange={(wanted) => choose("quantization", wanted ? on : "none")}
    />
  );
}

function Choice({ name, disabled }: { name: string; disabled?: boolean }) {
  const at = control(name);
  if (!at) return null;
  return (
    <SelectField
      name={name}
      value={String(standing(name))}
      disabled={at.disabled || disabled}
      note={note(at.note)}
      choices={(at.choices ?? []).map((choice) => [String(choice), valueLabel(name, choice)] as [string, string])}
      onChange={(next) => choose(name, next)}
    />
  );
}

/** For this song alone; without a list of them its name is typed. */
function Model() {
  const now = system.value?.models?.dit?.split("/").pop();
  if (usable.value.length === 0) return <TextField name="model" placeholder={now ?? t("engine.firstModel")} />;
  const names = usable.value.map(({ name }) => [name, name] as [string, string]);
  return <SelectField name="model" choices={[["", t("engine.asServer", { name: now ?? "–" })], ...names]} />;
}

/** A simulated card has no name of its own. */
export function cardName(): string {
  const device = info.value?.device;
  return device?.simulated ? t("engine.simulatedCard", { size: number(device.total_gb, 1) }) : (device?.name ?? "");
}

export function deviceLine(): string {
  const now = info.value;
  if (!now) return "";
  const { device } = now;
  if (device.kind === "cpu") return t("engine.cpu", { n: device.cpus, size: number(device.host_gb, 1) });
  const free = number(device.free_gb, 1);
  if (device.simulated) return t("engine.simulated", { card: cardName(), free });
  return t("engine.card", { name: device.name, size: number(device.total_gb, 1), free });
}

export function EnginePanel() {
  const now = info.value;
  if (!now) return null;
  const changed = ALL.filter(isSet).length;
  const words = [
    now.label.split(" ")[0],
    standing("init_llm") === true ? "LM" : "",
    standing("quantization") !== "none" ? "INT8" : "",
    standing("offload_to_cpu") === true ? t("engine.offloads") : "",
  ].filter(Boolean);
  return (
    <details class="card fold" id="engine">
      <summary>
        <h2>{t("engine.title")}</h2>
        <span class="quiet">{words.join(" · ")}</span>
        {changed > 0 && <span class="chip">{t("group.changed", { n: changed })}</span>}
      </summary>
      <p class="tier-line" id="tier-line">
        <strong>{now.label}</strong> {deviceLine()}
      </p>
      <div class="grid">
        <TierField />
        <Model />
      </div>
      <fieldset>
        <legend>{t("engine.lm")}</legend>
        <Switch name="init_llm" />
        <div class="grid">
          <Choice name="lm_model_path" disabled={standing("init_llm") !== true} />
          <Choice name="backend" disabled={standing("init_llm") !== true} />
        </div>
      </fieldset>
      <fieldset>
        <legend>{t("engine.memory")}</legend>
        <Switch name="offload_to_cpu" />
        <Switch name="offload_dit_to_cpu" />
        <Quantization />
        <Switch name="compile_model" />
        <Switch name="use_flash_attention" />
      </fieldset>
      <p class="help">
        {t("engine.limits", {
          seconds: number(Number(control("duration")?.max ?? 0)),
          songs: number(Number(control("batch_size")?.max ?? 0)),
        })}
      </p>
      <Warnings list={now.warnings} />
      {changed > 0 && (
        <Button icon="rotate" onClick={() => forget(ALL)}>
          {t("engine.reset")}
        </Button>
      )}
    </details>
  );
}
