/** Fields of the form: each shows one option and changes it. */
import type { ComponentChildren } from "preact";
import { get, getNumber, getText, isOn, isSet, set } from "../state/form";
import { byDefault, help, label, option, valueLabel, words } from "../state/params";
import { number, t } from "../state/text";
import { Field } from "./Field";
import { NumberInput } from "./NumberInput";

export function TextField({
  name,
  title,
  lines = 1,
  placeholder,
  aside,
  showHelp,
}: {
  name: string;
  title?: string;
  lines?: number;
  placeholder?: string;
  aside?: ComponentChildren;
  showHelp?: boolean;
}) {
  const most = option(name)?.longest;
  return (
    <Field name={name} title={title} aside={aside} showHelp={showHelp} wide>
      {(described) =>
        lines > 1 ? (
          <textarea
            {...described}
            rows={lines}
            maxLength={most}
            placeholder={placeholder}
            value={getText(name)}
            onInput={(event) => set(name, event.currentTarget.value)}
          />
        ) : (
          <input
            {...described}
            type="text"
            autocomplete="off"
            maxLength={most}
            placeholder={placeholder}
            value={getText(name)}
            onInput={(event) => set(name, event.currentTarget.value)}
          />
        )
      }
    </Field>
  );
}

/** A slider and the same number beside it. `auto`: the value that leaves the choice to the server. */
export function SliderField({
  name,
  minimum,
  maximum,
  step = 0.01,
  auto,
  suffix,
  tier,
  start,
  digits = 2,
}: {
  name: string;
  minimum?: number;
  maximum?: number;
  step?: number;
  auto?: number;
  suffix?: string;
  tier?: string; // whose limit the maximum is
  start?: number; // where the slider stands while the server chooses
  digits?: number;
}) {
  const row = option(name);
  const low = minimum ?? row?.minimum ?? 0;
  const high = maximum ?? row?.maximum ?? 1;
  const value = getNumber(name);
  const free = auto !== undefined && value === auto;
  const at = Math.max(low, Math.min(high, free ? (start ?? low) : value));
  const text = free ? t("value.auto") : `${number(value, digits)}${suffix ? ` ${suffix}` : ""}`;
  return (
    <Field
      name={name}
      aside={
        <span class="slider-side">
          {auto !== undefined && !free && (
            <button type="button" class="link" onClick={() => set(name, undefined)}>
              {t("value.auto")}
              <span class="hidden"> {label(name)}</span>
            </button>
          )}
          <NumberInput
            described={{}}
            label={t("field.number", { what: label(name) })}
            value={free ? undefined : value}
            minimum={low}
            maximum={high}
            step={step}
            what={label(name)}
            tier={tier}
            empty={auto === undefined ? undefined : t("value.auto")}
            onChange={(next) => set(name, next ?? auto)}
          />
          {suffix && <span class="unit">{suffix}</span>}
        </span>
      }
    >
      {(described) => (
        <input
          {...described}
          type="range"
          class={free ? "free" : ""}
          min={low}
          max={high}
          step={step}
          value={at}
          style={{ "--fill": `${((at - low) / (high - low)) * 100}%` }}
          aria-valuetext={text}
          onInput={(event) => set(name, Number(event.currentTarget.value))}
        />
      )}
    </Field>
  );
}

export function SelectField({
  name,
  choices,
  title,
  disabled,
  note,
  showHelp,
  value,
  onChange,
}: {
  name: string;
  choices?: [string, string][]; // value and label; otherwise the option's words
  title?: string;
  disabled?: boolean;
  note?: string | undefined;
  showHelp?: boolean;
  value?: string;
  onChange?: (value: string) => void;
}) {
  const list = choices ?? words(name).map((word) => [word, valueLabel(name, word)] as [string, string]);
  const now = value ?? getText(name);
  return (
    <Field name={name} title={title} note={note} showHelp={showHelp}>
      {(described) => (
        <select
          {...described}
          disabled={disabled}
          value={now}
          onChange={(event) => (onChange ?? ((next) => set(name, next)))(event.currentTarget.value)}
        >
          {!list.some(([choice]) => choice === now) && <option value={now}>{now || "–"}</option>}
          {list.map(([choice, text]) => (
            <option key={choice} value={choice}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A checkbox with its label beside it and a reason that is always visible. */
export function SwitchRow({
  name,
  title,
  checked,
  disabled,
  note,
  showHelp = true,
  onChange,
}: {
  name: string;
  title?: string;
  checked?: boolean;
  disabled?: boolean;
  note?: string | undefined;
  showHelp?: boolean;
  onChange?: (on: boolean) => void;
}) {
  const id = `field-${name}`;
  const about = showHelp ? help(name) : { text: "", english: false };
  const described = [about.text && `${id}-help`, note && `${id}-note`].filter(Boolean).join(" ");
  return (
    <div class={`switch-row ${disabled ? "off" : ""}`}>
      <input
        type="checkbox"
        role="switch"
        class="switch"
        id={id}
        checked={checked ?? isOn(name)}
        disabled={disabled}
        aria-describedby={described || undefined}
        onChange={(event) => {
          const on = event.currentTarget.checked;
          if (onChange) onChange(on);
          else set(name, on);
        }}
      />
      <div>
        <label for={id}>{title ?? label(name)}</label>
        {about.text && (
          <p class="help" id={`${id}-help`} lang={about.english ? "en" : undefined}>
            {about.text}
          </p>
        )}
        {note && (
          <p class="note" id={`${id}-note`}>
            {note}
          </p>
        )}
      </div>
    </div>
  );
}

/** Numbers whose default leaves the choice to the server. */
const CHOSEN = new Set(["inference_steps", "guidance_scale", "shift", "vae_chunk", "vae_overlap", "offload_dit_window", "lm_seed"]);

/** Whatever an option is: its row of the table says. */
export function OptionField({ name }: { name: string }) {
  const row = option(name);
  if (!row) return null;
  if (row.kind === "flag") return <SwitchRow name={name} />;
  if (row.kind === "word") return <SelectField name={name} />;
  if (row.kind === "text") return <TextField name={name} />;
  const auto = CHOSEN.has(name) ? row.default : undefined;
  const isAuto = auto !== undefined && get(name) === auto;
  return (
    <Field name={name}>
      {(described) => (
        <NumberInput
          described={described}
          label={label(name)}
          value={isAuto && !isSet(name) ? undefined : getNumber(name)}
          empty={auto === undefined ? String(byDefault(name)) : t("value.auto")}
          minimum={row.minimum ?? -Infinity}
          maximum={row.maximum ?? Infinity}
          step={row.kind === "int" ? 1 : 0.05}
          onChange={(next) => set(name, next)}
        />
      )}
    </Field>
  );
}
