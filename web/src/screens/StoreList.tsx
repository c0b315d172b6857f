/** Checkpoints to be had: what this machine is advised to have first, then all of them by kind. */
import { useEffect } from "preact/hooks";
import type { StoreSet } from "../api/types";
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { Progress } from "../parts/Progress";
import { cancelDownload, download, downloadOf, here, missingSize, store, usable, useModel, wanted, watchStore } from "../state/store";
import { may } from "../state/session";
import { system } from "../state/system";
import { bytes, maybe, span, t } from "../state/text";

/** A diffusion model that is there and not the one that works now. */
const isUsable = (set: StoreSet) => usable.value.includes(set) && system.value?.models?.dit?.split("/").pop() !== set.name && may("admin");

function SetRow({ set }: { set: StoreSet }) {
  const coming = downloadOf(set);
  const at = coming?.progress?.set === set.name ? coming.progress : null;
  const verb = set.state === "damaged" ? "store.repair" : set.state === "partial" ? "store.resume" : "store.get";
  return (
    <li class="set" data-set={set.name}>
      <Icon name={here(set) ? "check" : "pack"} />
      <div class="grow">
        <p>
          <strong>{set.name}</strong> {set.recommended && <span class="chip">{t("store.advisedChip")}</span>}
        </p>
        <p class="help" lang="en">
          {set.about}
        </p>
        {set.reason && (
          <p class="fault" lang="en">
            {set.reason}
          </p>
        )}
        {coming && (
          <>
            <Progress value={at ? at.fraction : undefined} label={t("store.progress", { name: set.name })} />
            <p class="help">
              {at
                ? t("store.speed", {
                    percent: Math.round(at.fraction * 100),
                    speed: bytes(at.bytes_per_second),
                    time: at.eta_seconds === null ? "–" : span(at.eta_seconds),
                  })
                : t("store.waiting")}
            </p>
          </>
        )}
      </div>
      <span class="quiet">
        {bytes(set.size)}
        {set.state !== "absent" && ` · ${maybe(`store.state.${set.state}`) ?? set.state}`}
      </span>
      {isUsable(set) && (
        <Button icon="music" onClick={() => void useModel(set.name)}>
          {t("models.use")}
          <span class="hidden"> {set.name}</span>
        </Button>
      )}
      {coming && may("admin") ? (
        <Button kind="quiet" icon="cross" onClick={() => cancelDownload(coming.id)}>
          {t("store.cancel")}
          <span class="hidden"> {set.name}</span>
        </Button>
      ) : (
        !here(set) &&
        set.kind !== "other" &&
        may("admin") && (
          <Button icon="download" onClick={() => download([set])}>
            {t(verb)}
            <span class="hidden"> {set.name}</span>
          </Button>
        )
      )}
    </li>
  );
}

export function StoreList() {
  useEffect(watchStore, []);
  const now = store.value;
  if (!now) return null;
  const kinds = [...new Set(now.sets.map((set) => set.kind))];
  const advised = may("admin") ? wanted.value.filter((set) => !downloadOf(set)) : [];
  return (
    <section class="card stack" aria-labelledby="store-title">
      <h2 id="store-title">{t("store.title")}</h2>
      {advised.length > 0 && (
        <div class="advice">
          <p>{t("store.advised", { names: advised.map((set) => set.name).join(", "), size: bytes(missingSize(advised)) })}</p>
          <Button kind="main" class="small" icon="download" onClick={() => download(advised)}>
            {t("store.getAll")}
          </Button>
        </div>
      )}
      <p class="quiet">{t("store.free", { size: bytes(now.free_bytes), folder: now.folder })}</p>
      {kinds.map((kind) => (
        <div key={kind}>
          <h3>{maybe(`store.kind.${kind}`) ?? kind}</h3>
          <ul class="sets">
            {now.sets
              .filter((set) => set.kind === kind)
              .map((set) => (
                <SetRow key={set.name} set={set} />
              ))}
          </ul>
        </div>
      ))}
    </section>
  );
}
