/** What the server says of itself, as it says it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { log, watchLog } from "../state/log";
import { language, t } from "../state/text";

const NEAR = 40; // px from the end: whoever reads there sees what comes

function Lines() {
  const box = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);
  useEffect(watchLog, []);
  useEffect(() => {
    if (atEnd.current) box.current!.scrollTop = box.current!.scrollHeight;
  }, [log.value]);
  return (
    <ol
      class="log"
      ref={box}
      tabIndex={0}
      lang="en"
      aria-label={t("log.title")}
      onScroll={({ currentTarget: list }) => {
        atEnd.current = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
      }}
    >
      {log.value.map((line) => (
        <li key={line.id} class={line.level}>
          <span class="quiet">
            {new Date(line.time * 1000).toLocaleTimeString(language.value)} {line.area}
          </span>{" "}
          {line.text}
        </li>
      ))}
    </ol>
  );
}

export function LogPanel() {
  const [open, setOpen] = useState(false);
  return (
    <details class="card fold" id="log" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>{t("log.title")}</h2>
      </summary>
      {open && <Lines />}
    </details>
  );
}
