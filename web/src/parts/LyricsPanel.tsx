/** The lyrics of what is played: the line that is sung stands out, and each can be jumped to. */
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/client";
import { saveText } from "../state/actions";
import { canTime, findOut, isFinding } from "../state/findings";
import { isSection, type Line } from "../state/lrc";
import { line, lines, lyricsShown, sung, timesOf, type Sung } from "../state/lyrics";
import { sayError } from "../state/notices";
import { play, track, type Track } from "../state/player";
import { may } from "../state/session";
import { clock, t } from "../state/text";
import { Button, IconButton } from "./Button";

const LEFT_ALONE = 4000; // ms after a person has scrolled

const still = matchMedia("(prefers-reduced-motion: reduce)");

function TimedLines({ list, song }: { list: Line[]; song: Track }) {
  const box = useRef<HTMLOListElement>(null);
  const scrolled = useRef(0);
  const at = line.value;

  useEffect(() => {
    const row = box.current?.children[at] as HTMLElement | undefined;
    if (!row || Date.now() - scrolled.current < LEFT_ALONE) return;
    const top = row.offsetTop - (box.current!.clientHeight - row.offsetHeight) / 2;
    box.current!.scrollTo({ top, behavior: still.matches ? "auto" : "smooth" });
  }, [at, list]);

  const touched = () => (scrolled.current = Date.now());
  return (
    <ol class="sung" ref={box} onWheel={touched} onTouchMove={touched}>
      {list.map((each, index) => (
        <li key={index}>
          <button
            type="button"
            class={isSection(each.text) ? "section" : ""}
            aria-current={index === at ? "true" : undefined}
            onClick={() => play(song, each.at)}
          >
            <span class="hidden">{clock(each.at)} </span>
            {each.text}
          </button>
        </li>
      ))}
    </ol>
  );
}

/** Words whose times nobody has looked for yet. */
function PlainLines({ now, song }: { now: Sung; song: Track }) {
  const busy = isFinding("lrc", song.id);
  return (
    <>
      <div class="lyrics-offer">
        {canTime.value && may("generate") ? (
          <Button icon="micVocal" disabled={busy} onClick={() => void findOut("lrc", song.id, song.name)}>
            {t(busy ? "lyrics.timing" : "lyrics.time")}
          </Button>
        ) : null}
        <p class="help">{t(canTime.value ? "lyrics.timeHelp" : "lyrics.cannot")}</p>
      </div>
      {/* what scrolls can be reached with keys */}
      <pre class="lyrics" tabIndex={0} role="group" aria-label={t("option.lyrics")}>
        {now.text}
      </pre>
    </>
  );
}

function close() {
  lyricsShown.value = false;
  document.getElementById("lyrics-shown")?.focus();
}

function save(address: string, name: string, type: string) {
  api.text(address).then((text) => saveText(name, type, text), sayError);
}

export function LyricsPanel() {
  const now = sung.value;
  const song = track.value;
  if (!now || !song || !lyricsShown.value) return null;
  const times = timesOf(song.id, now.item);
  return (
    <section
      class="lyrics-panel"
      aria-label={t("option.lyrics")}
      onKeyDown={(event) => event.key === "Escape" && close()}
    >
      <header>
        <h2>{t("option.lyrics")}</h2>
        {times && (
          <Button kind="quiet" icon="download" onClick={() => save(times.lrc, `${song.name}.lrc`, "text/plain")}>
            .lrc
          </Button>
        )}
        {times?.vtt && (
          <Button kind="quiet" icon="download" onClick={() => save(times.vtt!, `${song.name}.vtt`, "text/vtt")}>
            .vtt
          </Button>
        )}
        <IconButton icon="cross" label={t("lyrics.close")} onClick={close} />
      </header>
      {lines.value ? <TimedLines list={lines.value} song={song} /> : <PlainLines now={now} song={song} />}
    </section>
  );
}
