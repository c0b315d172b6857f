/** A recording for a field: dropped, chosen from disk, or taken from the songs made here. */
import { useRef, useState } from "preact/hooks";
import type { Sound } from "../api/types";
import { itemSound } from "../state/actions";
import { faults, setSound, sounds, type SoundField } from "../state/form";
import { songs } from "../state/jobs";
import { label } from "../state/params";
import { isPlaying, position, seek, toggle, track } from "../state/player";
import { clock, t } from "../state/text";
import { isAudio, send } from "../state/uploads";
import { Button, IconButton } from "./Button";
import { Icon } from "./Icon";
import { Menu, MenuEntry, MenuHead } from "./Menu";
import { Waveform } from "./Waveform";

const OFFERED = 12;

function SongMenu({ field }: { field: SoundField }) {
  const made = songs.value
    .flatMap((job) => (job.status === "done" ? (job.items ?? []).filter((item) => item.audio).map((item) => itemSound(job, item)) : []))
    .slice(0, OFFERED);
  if (made.length === 0) return null;
  return (
    <Menu icon="library" label={t("sound.fromSongs")} text={t("sound.fromSongs")}>
      <MenuHead>{t("sound.recent")}</MenuHead>
      {made.map((sound) => (
        <MenuEntry key={sound.id} icon="music" onClick={() => setSound(field, sound)}>
          {sound.name} · {clock(sound.seconds)}
        </MenuEntry>
      ))}
    </Menu>
  );
}

export function SoundHead({ sound, field, wave = true }: { sound: Sound; field: SoundField; wave?: boolean }) {
  const here = track.value?.id === sound.id;
  return (
    <div class="sound">
      <IconButton
        class="round"
        icon={isPlaying(sound.id) ? "pause" : "play"}
        label={t(isPlaying(sound.id) ? "player.pause" : "player.playName", { name: sound.name })}
        onClick={() => toggle(sound)}
      />
      <div class="sound-body">
        <p class="sound-name">
          <strong>{sound.name}</strong> <span class="quiet">{clock(sound.seconds)}</span>
        </p>
        {wave && (
          <Waveform
            peaks={sound.peaks}
            seconds={sound.seconds}
            position={here ? position.value : 0}
            label={t("wave.of", { name: sound.name })}
            onSeek={(at) => {
              if (!here) toggle(sound);
              seek(at);
            }}
          />
        )}
        {sound.latents && field === "src_audio" && <p class="help">{t("sound.latents")}</p>}
      </div>
      <IconButton icon="cross" label={t("sound.remove", { name: sound.name })} onClick={() => setSound(field, undefined)} />
    </div>
  );
}

export function SoundPicker({ field, wave = true }: { field: SoundField; wave?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const sound = sounds.value[field];
  const fault = faults.value[field];
  const id = `field-${field}`;

  async function take(file: File | undefined) {
    if (!file) return;
    const found = await send(file);
    if (found) setSound(field, found);
  }

  return (
    <div class="field wide" role="group" aria-labelledby={`${id}-label`}>
      <div class="field-head">
        <span class="label" id={`${id}-label`}>
          {label(field)}
        </span>
      </div>
      {sound ? (
        <SoundHead sound={sound} field={field} wave={wave} />
      ) : (
        <div
          class={`drop ${over ? "over" : ""}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            const file = [...(event.dataTransfer?.files ?? [])].find(isAudio);
            setOver(false);
            if (!file) return; // the page's own drop looks at it
            event.preventDefault();
            event.stopPropagation();
            void take(file);
          }}
        >
          <Icon name="audioLines" size={26} />
          <p>{t(`sound.drop.${field}`)}</p>
          <div class="row">
            <Button id={id} icon="upload" describedBy={fault ? `${id}-fault` : undefined} onClick={() => input.current?.click()}>
              {t("sound.choose")}
            </Button>
            <SongMenu field={field} />
          </div>
          <input
            ref={input}
            type="file"
            accept="audio/*,.flac,.opus,.ogg"
            hidden
            data-field={field}
            onChange={(event) => {
              void take(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
        </div>
      )}
      {fault && (
        <p class="fault" id={`${id}-fault`}>
          <Icon name="alert" size={14} /> {fault}
        </p>
      )}
    </div>
  );
}
