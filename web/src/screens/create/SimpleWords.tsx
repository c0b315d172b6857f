/** Simple mode in two steps, for whoever wants to see the words before the song. */
import { useState } from "preact/hooks";
import type { Mode, Words } from "../../api/types";
import { Button } from "../../parts/Button";
import { takeWords, write, writing } from "../../state/actions";
import { getText, modeName, request, set } from "../../state/form";
import { modes } from "../../state/params";
import { standing } from "../../state/system";
import { clock, languageName, t } from "../../state/text";

export function SimpleWords({ mode }: { mode: Mode }) {
  const [words, setWords] = useState<Words | undefined>(undefined);
  if (standing("init_llm") !== true || !mode.available) return null;

  async function sample() {
    const { task_type: _, ...wish } = request.value;
    setWords(await write("sample", wish));
  }

  function edit() {
    const custom = modes.value.find((each) => each.fields.includes("caption") && each.task_type === mode.task_type && each !== mode);
    if (!custom || !words) return;
    takeWords(words);
    set("sample_query", undefined);
    modeName.value = custom.name;
  }

  const facts = words && [
    words.bpm ? t("song.bpm", { n: words.bpm }) : "",
    words.keyscale ?? "",
    words.timesignature ? t("song.meter", { n: words.timesignature }) : "",
    words.duration && words.duration > 0 ? clock(words.duration) : "",
    words.vocal_language && words.vocal_language !== "unknown" ? languageName(words.vocal_language) : "",
  ];
  return (
    <div class="simple-words">
      <div class="row">
        <Button
          icon="wand"
          disabled={writing.value !== "" || getText("sample_query").trim() === ""}
          onClick={() => void sample()}
        >
          {writing.value === "sample" ? t("words.writing") : t("simple.sample")}
        </Button>
        <span class="help">{t("simple.sampleHelp")}</span>
      </div>
      {words && (
        <div class="sample" role="group" aria-label={t("simple.result")}>
          <p class="sample-caption">{words.caption}</p>
          <p class="facts">{facts?.filter(Boolean).map((fact) => <span key={fact}>{fact}</span>)}</p>
          {words.lyrics && <pre class="lyrics">{words.lyrics}</pre>}
          <Button icon="pencil" onClick={edit}>
            {t("simple.edit")}
          </Button>
        </div>
      )}
    </div>
  );
}
