/** The heart of each mode: words, recordings, the region. Which fields there are, the server says. */
import type { Mode } from "../../api/types";
import { Button } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { OptionField, SelectField, SliderField, SwitchRow, TextField } from "../../parts/inputs";
import { Region } from "../../parts/Region";
import { SoundPicker } from "../../parts/SoundPicker";
import { enhance, write, writing } from "../../state/actions";
import { getText, isOn, set, sounds } from "../../state/form";
import { params } from "../../state/params";
import { standing } from "../../state/system";
import { languageName, maybe, t } from "../../state/text";
import { IDEAS } from "./ideas";
import { SimpleWords } from "./SimpleWords";

const SECTIONS = ["Intro", "Verse", "Chorus", "Bridge", "Outro"];

function insertSection(name: string) {
  const area = document.getElementById("field-lyrics") as HTMLTextAreaElement | null;
  const text = getText("lyrics");
  const at = area?.selectionStart ?? text.length;
  const before = text.slice(0, at);
  const gap = before === "" || before.endsWith("\n\n") ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  const tag = `${gap}[${name}]\n`;
  set("lyrics", before + tag + text.slice(at));
  requestAnimationFrame(() => {
    area?.focus();
    area?.setSelectionRange(at + tag.length, at + tag.length);
  });
}

function Lyrics() {
  const silent = isOn("instrumental");
  return (
    <div class="lyrics-box">
      <TextField
        name="lyrics"
        lines={silent ? 2 : 8}
        placeholder={t(silent ? "lyrics.instrumental" : "lyrics.placeholder")}
        showHelp={false}
      />
      <div class="row lyrics-tools">
        <SwitchRow name="instrumental" showHelp={false} />
        {!silent && (
          <div class="row sections" role="group" aria-label={t("lyrics.sections")}>
            {SECTIONS.map((name) => (
              <button type="button" class="tag" key={name} onClick={() => insertSection(name)}>
                <Icon name="plus" size={12} />
                {name}
              </button>
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

function CaptionTools({ mode }: { mode: Mode }) {
  const canWrite = standing("init_llm") === true && mode.fields.includes("lyrics");
  return (
    <span class="row">
      <Button
        kind="quiet"
        icon="dices"
        onClick={() => {
          const idea = IDEAS[Math.floor(Math.random() * IDEAS.length)]!;
          set(mode.fields.includes("sample_query") ? "sample_query" : "caption", idea);
        }}
      >
        {t("idea")}
      </Button>
      {canWrite && mode.fields.includes("caption") && (
        <Button kind="quiet" icon="wand" disabled={writing.value !== ""} onClick={() => void enhance()}>
          {writing.value === "format" ? t("words.writing") : t("words.enhance")}
        </Button>
      )}
    </span>
  );
}

function Codes() {
  const sound = sounds.value.src_audio ?? sounds.value.reference_audio;
  return (
    <details class="fold inner" open={getText("audio_codes") !== "" || undefined}>
      <summary>{t("codes.title")}</summary>
      <TextField
        name="audio_codes"
        lines={3}
        aside={
          sound && (
            <Button
              kind="quiet"
              icon="audioLines"
              disabled={writing.value !== ""}
              onClick={async () => {
                const words = await write("understand", { src_audio: sound.id });
                if (words?.audio_codes) set("audio_codes", words.audio_codes);
              }}
            >
              {t("codes.from", { name: sound.name })}
            </Button>
          )
        }
      />
      {getText("audio_codes") !== "" && <SliderField name="audio_cover_strength" step={0.05} />}
    </details>
  );
}

function Tracks() {
  const chosen = getText("track_classes").split(",").filter(Boolean);
  const toggle = (track: string, on: boolean) => {
    const all = params.value?.tracks ?? [];
    const next = all.filter((each) => (each === track ? on : chosen.includes(each)));
    set("track_classes", next.join(","));
  };
  return (
    <fieldset class="wide">
      <legend>{t("option.track_classes")}</legend>
      <div class="row wrap">
        {(params.value?.tracks ?? []).map((track, index) => (
          <label class="check" key={track}>
            <input
              id={index === 0 ? "field-track_classes" : undefined}
              type="checkbox"
              checked={chosen.includes(track)}
              onChange={(event) => toggle(track, event.currentTarget.checked)}
            />
            {maybe(`track.${track}`) ?? track}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** In the order in which they are asked for. Fields of a mode that are not here stand below, as they are. */
const PLACED = new Set([
  "sample_query", "src_audio", "track_name", "track_classes", "repainting_start", "repainting_end",
  "repaint_mode", "repaint_strength", "chunk_mask_mode", "caption", "lyrics", "instrumental", "vocal_language",
  "reference_audio", "audio_codes", "audio_cover_strength", "cover_noise_strength", "no_fsq",
  "duration", "bpm", "keyscale", "timesignature", "batch_size", "seed", "instruction", "vae_sample",
]);
const LATER = new Set(["thinking", "use_format", "auto_score", "auto_lrc", "task_type"]);

export function SongPanel({ mode }: { mode: Mode }) {
  const shows = (name: string) => mode.fields.includes(name);
  const source = sounds.value.src_audio;
  const further = mode.fields.filter((name) => !PLACED.has(name) && !LATER.has(name) && !name.startsWith("use_cot"));
  return (
    <div class="card stack">
      {shows("sample_query") && (
        <TextField
          name="sample_query"
          lines={3}
          placeholder={t("simple.placeholder")}
          showHelp={false}
          aside={<CaptionTools mode={mode} />}
        />
      )}
      {shows("sample_query") && <SimpleWords mode={mode} />}
      {shows("src_audio") && <SoundPicker field="src_audio" wave={!shows("repainting_start")} />}
      {shows("repainting_start") && source && <Region sound={source} />}
      {shows("repaint_mode") && source && (
        <div class="grid">
          <SelectField name="repaint_mode" />
          {getText("repaint_mode") === "balanced" && <SliderField name="repaint_strength" step={0.05} />}
        </div>
      )}
      {shows("track_name") && (
        <SelectField
          name="track_name"
          choices={[["", t("track.choose")], ...(params.value?.tracks ?? []).map((track) => [track, maybe(`track.${track}`) ?? track] as [string, string])]}
        />
      )}
      {shows("track_classes") && <Tracks />}
      {shows("audio_cover_strength") && !shows("audio_codes") && <SliderField name="audio_cover_strength" step={0.05} />}
      {shows("cover_noise_strength") && <SliderField name="cover_noise_strength" step={0.05} />}
      {shows("no_fsq") && <SwitchRow name="no_fsq" />}
      {shows("caption") && !shows("sample_query") && (
        <TextField
          name="caption"
          lines={3}
          placeholder={t("caption.placeholder")}
          showHelp={false}
          aside={<CaptionTools mode={mode} />}
        />
      )}
      {shows("lyrics") && !shows("sample_query") && <Lyrics />}
      {shows("sample_query") && shows("instrumental") && <SwitchRow name="instrumental" showHelp={false} />}
      {shows("vocal_language") && (
        <SelectField
          name="vocal_language"
          showHelp={false}
          choices={(params.value?.languages ?? []).map((code) => [code, languageName(code)] as [string, string])}
        />
      )}
      {shows("reference_audio") && <SoundPicker field="reference_audio" />}
      {shows("audio_codes") && <Codes />}
      {further.map((name) => (
        <OptionField key={name} name={name} />
      ))}
    </div>
  );
}
