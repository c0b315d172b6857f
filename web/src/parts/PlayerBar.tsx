import { lyricsShown, sung } from "../state/lyrics";
import { muted, play, playing, playlist, position, seek, step, stop, toggle, track, volume } from "../state/player";
import { clock, number, t } from "../state/text";
import { IconButton } from "./Button";
import { LyricsPanel } from "./LyricsPanel";
import { Waveform } from "./Waveform";

export function PlayerBar() {
  const now = track.value;
  if (!now) return null;
  const at = playlist.value.findIndex((each) => each.id === now.id);
  return (
    <section class="player" aria-label={t("player")}>
      <LyricsPanel />
      <div class="player-buttons">
        <IconButton
          icon="skipBack"
          label={t("player.previous")}
          onClick={() => (position.value > 3 || at <= 0 ? play(now, 0) : step(-1))}
        />
        <IconButton
          class="round large"
          icon={playing.value ? "pause" : "play"}
          size={22}
          label={t(playing.value ? "player.pause" : "player.play")}
          onClick={() => toggle()}
        />
        <IconButton
          icon="skipForward"
          label={t("player.next")}
          disabled={at < 0 || at === playlist.value.length - 1}
          onClick={() => step(1)}
        />
      </div>
      <div class="player-song">
        <p class="player-name">{now.name}</p>
        <div class="player-wave">
          <span class="time">{clock(position.value)}</span>
          <Waveform
            peaks={now.peaks}
            seconds={now.seconds}
            position={position.value}
            label={t("player.seek")}
            onSeek={seek}
          />
          <span class="time">{clock(now.seconds)}</span>
        </div>
      </div>
      <div class="player-volume">
        {sung.value && (
          <IconButton
            id="lyrics-shown"
            icon="micVocal"
            label={t("option.lyrics")}
            pressed={lyricsShown.value}
            onClick={() => (lyricsShown.value = !lyricsShown.value)}
          />
        )}
        <IconButton
          icon={muted.value ? "volumeOff" : "volume"}
          label={t("player.mute")}
          pressed={muted.value}
          onClick={() => (muted.value = !muted.value)}
        />
        <input
          type="range"
          min="0"
          max="1"
          step="0.01"
          aria-label={t("player.volume")}
          aria-valuetext={`${number(volume.value * 100)} %`}
          value={volume.value}
          style={{ "--fill": `${volume.value * 100}%` }}
          onInput={(event) => {
            volume.value = Number(event.currentTarget.value);
            muted.value = false;
          }}
        />
        <IconButton icon="cross" label={t("player.close")} onClick={stop} />
      </div>
    </section>
  );
}
