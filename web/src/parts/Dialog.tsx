/** A dialog of the browser's own: it keeps the focus in, and gives it back. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../state/text";
import { IconButton } from "./Button";

export function Dialog({
  title,
  onClose,
  children,
  small,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  small?: boolean;
}) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current!.showModal();
    return () => before?.focus();
  }, []);
  return (
    <dialog
      ref={box}
      class={small ? "small" : ""}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={(event) => event.target === box.current && box.current?.close()}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <IconButton icon="cross" label={t("close")} onClick={() => box.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
