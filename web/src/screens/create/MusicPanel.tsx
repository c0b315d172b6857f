/** Length, number of songs, seed, and the musical metadata. */
import type { Mode } from "../../api/types";
import { Button } from "../../parts/Button";
import { Field } from "../../parts/Field";
import { SelectField, SliderField } from "../../parts/inputs";
import { get, getNumber, getText, modeName, set } from "../../state/form";
import { label, modeFields, option, params } from "../../state/params";
import { control, info } from "../../state/system";
import { t } from "../../state/text";

const METERS = ["2", "3", "4", "6"];
const LONGEST_SEED = 4294967295;

function Batch() {
  const most = control("batch_size")?.max ?? option("batch_size")?.maximum ?? 1;
  const now = Math.min(getNumber("batch_size"), most);
  return (
    <Field name="batch_size" showHelp={false} note={most === 1 ? t("batch.one", { tier: info.value?.label ?? "" }) : undefined}>
      {(described) => (
        <div class="stepper">
          <button type="button" aria-label={t("batch.fewer")} disabled={now <= 1} onClick={() => set("batch_size", now - 1)}>
            −
          </button>
          <input
            {...described}
            type="number"
            min={1}
            max={most}
            value={now}
            onChange={(event) => {
              const wanted = Math.round(Number(event.currentTarget.value)) || 1;
              const used = Math.max(1, Math.min(most, wanted));
              event.currentTarget.value = String(used);
              set("batch_size", used);
            }}
          />
          <button type="button" aria-label={t("batch.more")} disabled={now >= most} onClick={() => set("batch_size", now + 1)}>
            +
          </button>
        </div>
      )}
    </Field>
  );
}

function Seed() {
  const random = getText("seed") === "-1" || getText("seed") === "";
  return (
    <Field
      name="seed"
      hint={random ? t("seed.random") : t("seed.kept")}
      aside={
        <Button
          kind="quiet"
          icon={random ? "dices" : "rotate"}
          onClick={() => set("seed", random ? String(Math.floor(Math.random() * LONGEST_SEED)) : undefined)}
        >
          {t(random ? "seed.roll" : "seed.free")}
        </Button>
      }
    >
      {(described) => (
        <input
          {...described}
          type="text"
          inputMode="numeric"
          autocomplete="off"
          placeholder={t("seed.placeholder")}
          value={random ? "" : getText("seed")}
          onInput={(event) => set("seed", event.currentTarget.value.replace(/[^\d,\s-]/g, "") || undefined)}
        />
      )}
    </Field>
  );
}

export function MusicPanel({ mode }: { mode: Mode }) {
  // options that no mode claims belong to all of them
  const shows = (name: string) => mode.fields.includes(name) || !modeFields.value.has(name);
  const length = control("duration");
  const tier = info.value?.label ?? "";
  const metadata = shows("bpm") || shows("keyscale") || shows("timesignature");
  return (
    <section class="card stack" key={modeName.value} aria-labelledby="music-title">
      <h2 id="music-title">{t("music.title")}</h2>
      {shows("duration") && (
        <SliderField
          name="duration"
          minimum={length?.min ?? 10}
          maximum={length?.max ?? option("duration")?.maximum ?? 600}
          step={1}
          auto={-1}
          suffix="s"
          tier={tier}
          start={30}
          digits={0}
        />
      )}
      <div class="grid">
        {shows("batch_size") && <Batch />}
        {shows("seed") && <Seed />}
      </div>
      {metadata && (
        <div class="grid three">
          {shows("bpm") && <SliderField name="bpm" minimum={30} maximum={300} step={1} auto={0} start={120} digits={0} />}
          {shows("keyscale") && (
            <Field name="keyscale" showHelp={false}>
              {(described) => (
                <>
                  <input
                    {...described}
                    type="text"
                    list="keys"
                    autocomplete="off"
                    placeholder={t("value.auto")}
                    value={String(get("keyscale"))}
                    onInput={(event) => set("keyscale", event.currentTarget.value)}
                  />
                  <datalist id="keys">
                    {(params.value?.keys ?? []).map((key) => (
                      <option key={key} value={key} />
                    ))}
                  </datalist>
                </>
              )}
            </Field>
          )}
          {shows("timesignature") && (
            <SelectField
              name="timesignature"
              showHelp={false}
              title={label("timesignature")}
              choices={[["", t("value.auto")], ...METERS.map((meter) => [meter, t("song.meter", { n: meter })] as [string, string])]}
            />
          )}
        </div>
      )}
    </section>
  );
}
