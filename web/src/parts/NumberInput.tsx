/** A number that is typed: read and brought within its limits when the person is done, not before. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { sayClamped } from "../state/notices";
import { number } from "../state/text";
import type { Described } from "./Field";

const shown = (value: number) => String(Math.round(value * 1000) / 1000);

export function NumberInput({
  described,
  value,
  minimum,
  maximum,
  step,
  empty,
  label,
  disabled,
  what,
  tier,
  onChange,
}: {
  described: Partial<Described>;
  value: number | undefined;
  minimum: number;
  maximum: number;
  step?: number;
  empty?: string; // what an empty field means
  label?: string;
  disabled?: boolean;
  what?: string; // its name in messages, where that is not the label
  tier?: string; // whose limit it is
  onChange: (value: number | undefined) => void;
}) {
  const [text, setText] = useState(value === undefined ? "" : shown(value));
  const input = useRef<HTMLInputElement>(null);
  // at once: later, it would overwrite what is typed meanwhile
  useLayoutEffect(() => setText(value === undefined ? "" : shown(value)), [value]);

  /** What stands in the field counts: what was typed last may not be drawn yet. */
  function commit() {
    const typed = (input.current?.value ?? text).trim().replace(",", ".");
    if (typed === "" && empty !== undefined) return onChange(undefined);
    const asked = Number(typed);
    if (typed === "" || !Number.isFinite(asked)) return setText(value === undefined ? "" : shown(value));
    const used = Math.max(minimum, Math.min(maximum, step && step >= 1 ? Math.round(asked) : asked));
    if (used !== asked)
      sayClamped(what ?? label ?? "", number(asked, 2), number(used, 2), tier);
    setText(shown(used)); // also when the value stays as it was and nothing is drawn again
    onChange(used);
  }

  return (
    <input
      {...described}
      ref={input}
      class="number"
      type="text"
      inputMode="decimal"
      autocomplete="off"
      aria-label={described.id ? undefined : label}
      value={text}
      placeholder={empty}
      disabled={disabled}
      onInput={(event) => setText(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === "Enter") commit();
        if ((event.key === "ArrowUp" || event.key === "ArrowDown") && value !== undefined) {
          event.preventDefault();
          const by = (step ?? 1) * (event.key === "ArrowUp" ? 1 : -1);
          onChange(Math.max(minimum, Math.min(maximum, Math.round((value + by) * 1000) / 1000)));
        }
      }}
    />
  );
}
