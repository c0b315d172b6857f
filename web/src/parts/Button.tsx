import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./Icon";

interface Props {
  onClick?: (event: MouseEvent) => void;
  icon?: IconName;
  kind?: "main" | "plain" | "quiet" | "danger";
  disabled?: boolean;
  id?: string;
  class?: string;
  describedBy?: string | undefined;
  children?: ComponentChildren;
}

export function Button({ icon, kind = "plain", children, describedBy, ...rest }: Props) {
  return (
    <button type="button" {...rest} class={`button ${kind} ${rest.class ?? ""}`} aria-describedby={describedBy}>
      {icon && <Icon name={icon} size={kind === "main" ? 20 : 16} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** A button that shows an icon alone; the label is read out and shown on hover. */
export function IconButton({
  label,
  icon,
  pressed,
  filled,
  size,
  ...rest
}: Omit<Props, "children" | "icon" | "kind"> & {
  label: string;
  icon: IconName;
  pressed?: boolean;
  filled?: boolean;
  size?: number;
}) {
  return (
    <button
      type="button"
      {...rest}
      class={`icon-button ${rest.class ?? ""}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
    >
      <Icon name={icon} filled={filled ?? false} size={size ?? 18} />
    </button>
  );
}
