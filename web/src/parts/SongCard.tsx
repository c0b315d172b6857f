/** A job that is over: its songs, or why there are none. */
import { useState } from "preact/hooks";
import type { Item, Job, Sound } from "../api/types";
import { itemSound, reuse, sourceOf } from "../state/actions";
import { change, remove, songOf, title } from "../state/jobs";
import { isPlaying, play, playlist, position, seek, swap, toggle, track } from "../state/player";
import { clock, languageName, maybe, t, when } from "../state/text";
import { songTracks } from "../state/tracks";
import { Button, IconButton } from "./Button";
import { ScoreDetails } from "./ScoreDetails";
import { SongMenu } from "./SongMenu";
import { Warnings } from "./Warnings";
import { Waveform } from "./Waveform";

function Facts({ job, item }: { job: Job; item: Item }) {
  const facts = [
    clock(item.seconds),
    item.bpm ? t("song.bpm", { n: item.bpm }) : "",
    item.keyscale ?? "",
    item.timesignature ? t("song.meter", { n: item.timesignature }) : "",
    item.vocal_language && item.vocal_language !== "unknown" ? languageName(item.vocal_language) : "",
    t("song.seed", { n: item.seed }),
    item.format,
    when(job.created),
  ];
  return (
    <p class="facts">
      {facts.filter(Boolean).map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </p>
  );
}

function Details({ item }: { item: Item }) {
  if (!item.caption && !item.lyrics) return null;
  return (
    <details class="song-details">
      <summary>{t("song.words")}</summary>
      {item.caption && <p>{item.caption}</p>}
      {item.lyrics && (
        <pre class="lyrics" tabIndex={0} role="group" aria-label={t("option.lyrics")}>
          {item.lyrics}
        </pre>
      )}
    </details>
  );
}

function ItemRow({ job, item, onRename }: { job: Job; item: Item; onRename: () => void }) {
  const sound = itemSound(job, item);
  const here = track.value?.id === sound.id;
  const start = () => {
    playlist.value = songTracks();
    toggle(sound);
  };
  return (
    <div class={`item ${here ? "here" : ""}`} data-item={sound.id}>
      <IconButton
        class="round"
        icon={isPlaying(sound.id) ? "pause" : "play"}
        label={t(isPlaying(sound.id) ? "player.pause" : "player.playName", { name: sound.name })}
        onClick={start}
      />
      <div class="item-body">
        <Waveform
          peaks={sound.peaks}
          seconds={item.seconds}
          position={here ? position.value : 0}
          label={t("wave.of", { name: sound.name })}
          onSeek={(at) => (here ? seek(at) : play(sound, at))}
        />
        <Facts job={job} item={item} />
        {songOf(job) && <Compare job={job} item={item} />}
        <Details item={item} />
        <ScoreDetails song={sound.id} item={item} />
      </div>
      <SongMenu job={job} item={item} onRename={onRename} />
    </div>
  );
}

/** Switches between a song and what it was made from, at the same place. */
function Compare({ job, item }: { job: Job; item: Item }) {
  const [source, setSource] = useState<Sound | null>(null);
  const song = itemSound(job, item);
  const original = source !== null && track.value?.id === source.id;
  async function change() {
    if (original) return swap(song);
    const found = source ?? (await sourceOf(job));
    if (!found) return;
    setSource(found);
    swap(found);
  }
  return (
    <Button kind="quiet" icon="blend" onClick={() => void change()}>
      {t(original ? "song.compareBack" : "song.compare")}
    </Button>
  );
}

function Rename({ job, onEnd }: { job: Job; onEnd: () => void }) {
  const [text, setText] = useState(title(job));
  return (
    <form
      class="row rename"
      onSubmit={(event) => {
        event.preventDefault();
        void change(job, { title: text.trim() });
        onEnd();
      }}
      onKeyDown={(event) => event.key === "Escape" && onEnd()}
    >
      <input
        type="text"
        aria-label={t("song.newName")}
        value={text}
        maxLength={200}
        ref={(input) => {
          if (input && document.activeElement !== input && !input.dataset.seen) {
            input.dataset.seen = "1";
            input.select();
            input.focus();
          }
        }}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button class="button main small" type="submit">
        {t("save")}
      </button>
      <Button kind="quiet" onClick={onEnd}>
        {t("cancel")}
      </Button>
    </form>
  );
}

export function SongCard({ job }: { job: Job }) {
  const [naming, setNaming] = useState(false);
  const name = title(job);
  const items = (job.items ?? []).filter((item) => item.audio); // a job that was only walked through made none
  const mode = job.params?.task_type && job.params.task_type !== "text2music" ? maybe(`task.${job.params.task_type}`) : "";
  return (
    <li class={`song ${job.status}`} data-job={job.id}>
      <div class="song-head">
        {naming ? (
          <Rename job={job} onEnd={() => setNaming(false)} />
        ) : (
          <>
            <h3>{name}</h3>
            {mode && <span class="chip">{mode}</span>}
            <IconButton
              class="heart"
              icon="heart"
              filled={job.favourite}
              pressed={job.favourite}
              label={t("song.favourite", { title: name })}
              onClick={() => change(job, { favourite: !job.favourite })}
            />
          </>
        )}
      </div>
      {items.map((item) => (
        <ItemRow key={item.index} job={job} item={item} onRename={() => setNaming(true)} />
      ))}
      {job.status !== "done" && (
        <div class="song-failed">
          <p class={job.status === "failed" ? "fault" : "quiet"}>
            {t(job.status === "failed" ? "job.failed" : "job.cancelled")} · {when(job.created)}
          </p>
          {job.error && <p lang="en">{job.error.message}</p>}
          {job.error?.hint && (
            <p class="help" lang="en">
              {job.error.hint}
            </p>
          )}
          <div class="row">
            <Button icon="rotate" onClick={() => void reuse(job)}>
              {t("send.settings")}
            </Button>
            <Button kind="quiet" icon="trash" onClick={() => remove(job)}>
              {t("song.delete")}
            </Button>
          </div>
        </div>
      )}
      <Warnings list={job.status === "done" ? job.warnings : undefined} />
    </li>
  );
}
