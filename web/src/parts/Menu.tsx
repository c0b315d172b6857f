/** A button that unfolds further buttons. */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./Icon";

const EDGE = 14; // px to what is around it
const SHORTEST = 160;

export function Menu({
  label,
  icon,
  text,
  before,
  children,
}: {
  label: string;
  icon: IconName;
  text?: string;
  before?: () => Promise<void>; // what has to be known first
  children: ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  const [place, setPlace] = useState("");
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  // upwards where there is more room, and no longer than that
  useLayoutEffect(() => {
    if (!open) return setPlace("");
    const list = root.current!.querySelector<HTMLElement>(".menu-list")!;
    const own = button.current!.getBoundingClientRect();
    const below = innerHeight - own.bottom - (document.querySelector(".player")?.clientHeight ?? 0);
    const above = own.top - (document.querySelector(".top")?.clientHeight ?? 0);
    const up = list.scrollHeight > below - EDGE && above > below;
    list.style.maxHeight = `${Math.max(SHORTEST, (up ? above : below) - EDGE)}px`;
    const ends = own.right - list.offsetWidth < 0 ? "start" : ""; // no room before the button
    setPlace(`${up ? "up" : ""} ${ends}`);
  }, [open]);

  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    root.current?.querySelector<HTMLElement>(".menu-list button, .menu-list a")?.focus();
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);

  async function change() {
    if (!open) await before?.();
    setOpen(!open);
  }

  function onKeyDown(event: KeyboardEvent) {
    if (!open) return;
    const entries = [...root.current!.querySelectorAll<HTMLElement>(".menu-list button, .menu-list a")];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      event.stopPropagation();
      entries[(at + (event.key === "ArrowDown" ? 1 : entries.length - 1)) % entries.length]?.focus();
    }
  }

  return (
    <div class="menu" ref={root} onKeyDown={onKeyDown}>
      <button
        type="button"
        ref={button}
        class={text ? "button plain" : "icon-button"}
        aria-label={text ? undefined : label}
        title={label}
        aria-expanded={open}
        onClick={() => void change()}
      >
        <Icon name={icon} size={text ? 16 : 18} />
        {text && <span>{text}</span>}
      </button>
      {open && (
        <div
          class={`menu-list ${place}`}
          onClick={(event) => {
            if ((event.target as HTMLElement).closest("button, a")) {
              setOpen(false);
              button.current?.focus();
            }
          }}
        >
          {children}
        </div>
      )}
    </div>
  );
}

export function MenuEntry({
  icon,
  onClick,
  danger,
  children,
}: {
  icon?: IconName;
  onClick: () => void;
  danger?: boolean;
  children: ComponentChildren;
}) {
  return (
    <button type="button" class={danger ? "entry danger" : "entry"} onClick={onClick}>
      {icon && <Icon name={icon} size={16} />}
      <span>{children}</span>
    </button>
  );
}

export function MenuLink({
  href,
  name,
  icon,
  children,
}: {
  href: string;
  name?: string;
  icon?: IconName;
  children: ComponentChildren;
}) {
  return (
    <a class="entry" href={href} download={name ?? ""}>
      {icon && <Icon name={icon} size={16} />}
      <span>{children}</span>
    </a>
  );
}

export const MenuHead = ({ children }: { children: ComponentChildren }) => <p class="menu-head">{children}</p>;
