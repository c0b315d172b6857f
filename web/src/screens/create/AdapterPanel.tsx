/** Adapters (LoRA and its relatives) that change how the model plays: which, and how much. */
import { useRef } from "preact/hooks";
import type { Adapter } from "../../api/types";
import { Button, IconButton } from "../../parts/Button";
import { SwitchRow } from "../../parts/inputs";
import { NumberInput } from "../../parts/NumberInput";
import { adapters, addAdapter, choose, chosen, removeAdapter } from "../../state/adapters";
import { may } from "../../state/session";
import { t } from "../../state/text";

const MOST = 2; // the engine takes -4 … 4
const STEP = 0.05;

const KINDS: Record<string, string> = { lora: "LoRA", loha: "LoHa", lokr: "LoKr" };

function about({ kind, dora, rank, layers }: Adapter): string {
  if (!kind || !rank) return "";
  const name = (KINDS[kind] ?? "LyCORIS") + (dora ? ", DoRA" : "");
  const ranks = rank.least === rank.most ? `${rank.most}` : `${rank.least}–${rank.most}`;
  const facts = { kind: name, rank: ranks, layers: layers ?? 0 };
  return t(rank.most > 0 ? "adapters.about" : "adapters.aboutWhole", facts); // whole matrices have no rank
}

function AdapterRow({ adapter, index }: { adapter: Adapter; index: number }) {
  const { name } = adapter;
  const scale = chosen.value.get(name);
  return (
    <div class="adapter">
      <SwitchRow
        name={`adapter-${index}`}
        title={name}
        showHelp={false}
        checked={scale !== undefined}
        disabled={Boolean(adapter.error) && scale === undefined}
        note={adapter.error ?? undefined}
        onChange={(on) => choose(name, on ? 1 : undefined)}
      />
      <span class="quiet">{about(adapter)}</span>
      {scale !== undefined && (
        <NumberInput
          described={{}}
          label={t("adapters.scale", { name })}
          value={scale}
          minimum={0}
          maximum={MOST}
          step={STEP}
          onChange={(next) => choose(name, next ?? 1)}
        />
      )}
      {adapter.uploaded && may("admin") && (
        <IconButton icon="cross" label={t("adapters.remove", { name })} onClick={() => void removeAdapter(name)} />
      )}
    </div>
  );
}

export function AdapterPanel() {
  const input = useRef<HTMLInputElement>(null);
  const on = chosen.value.size;
  return (
    <details class="card fold" id="adapters">
      <summary>
        <h2>{t("adapters.title")}</h2>
        {on > 0 && <span class="chip">{t("adapters.on", { n: on })}</span>}
      </summary>
      {adapters.value.length === 0 && <p class="quiet">{t("adapters.none")}</p>}
      {adapters.value.map((each, index) => (
        <AdapterRow key={each.name} adapter={each} index={index} />
      ))}
      <input
        ref={input}
        type="file"
        accept=".safetensors"
        hidden
        id="adapter-file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) void addAdapter(file);
          event.currentTarget.value = "";
        }}
      />
      {may("admin") && (
        <Button kind="quiet" icon="upload" onClick={() => input.current?.click()}>
          {t("adapters.add")}
        </Button>
      )}
    </details>
  );
}
