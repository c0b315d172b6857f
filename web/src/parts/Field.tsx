/** What every field has: a label, help, and what is wrong with it. */
import type { ComponentChildren } from "preact";
import { faults } from "../state/form";
import { help, label } from "../state/params";
import { Icon } from "./Icon";

export interface Described {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": "true" | undefined;
}

export function Field({
  name,
  title,
  note,
  hint,
  aside,
  wide,
  showHelp = true,
  children,
}: {
  name: string;
  title?: string;
  note?: string | undefined; // why it stands as it does
  hint?: string | undefined; // instead of the option's help
  aside?: ComponentChildren;
  wide?: boolean;
  showHelp?: boolean;
  children: (described: Described) => ComponentChildren;
}) {
  const id = `field-${name}`;
  const about = showHelp && hint === undefined ? help(name) : { text: hint ?? "", english: false };
  const fault = faults.value[name];
  const described = [about.text && `${id}-help`, note && `${id}-note`, fault && `${id}-fault`]
    .filter(Boolean)
    .join(" ");
  return (
    <div class={`field ${wide ? "wide" : ""}`}>
      <div class="field-head">
        <label for={id}>{title ?? label(name)}</label>
        {aside}
      </div>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": fault ? "true" : undefined })}
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
      {fault && (
        <p class="fault" id={`${id}-fault`}>
          <Icon name="alert" size={14} /> {fault}
        </p>
      )}
    </div>
  );
}
