/** What can be done with a song. */
import { api, downloadAddress } from "../api/client";
import type { Item, Job } from "../api/types";
import { itemSound, reuse, saveText, useCodes, useSound } from "../state/actions";
import { remove } from "../state/jobs";
import { sayError } from "../state/notices";
import { modes, params } from "../state/params";
import { t } from "../state/text";
import { Menu, MenuEntry, MenuHead, MenuLink } from "./Menu";

const TARGETS = [
  { task: "cover", field: "src_audio", icon: "blend", key: "send.remix" },
  { task: "repaint", field: "src_audio", icon: "scissors", key: "send.repaint" },
  { task: "text2music", field: "reference_audio", icon: "disc", key: "send.reference" },
  { task: "extract", field: "src_audio", icon: "layers", key: "send.extract" },
  { task: "lego", field: "src_audio", icon: "guitar", key: "send.lego" },
  { task: "complete", field: "src_audio", icon: "plus", key: "send.complete" },
] as const;

async function fetchCodes(job: Job, item: Item) {
  try {
    const full = item.codes ?? (await api.job(job.id)).items?.[item.index]?.codes;
    if (full) useCodes(full);
  } catch (error) {
    sayError(error);
  }
}

export function SongMenu({ job, item, onRename }: { job: Job; item: Item; onRename: () => void }) {
  const sound = itemSound(job, item);
  const offered = TARGETS.filter((target) =>
    modes.value.some((mode) => mode.available && mode.task_type === target.task && mode.fields.includes(target.field)),
  );
  return (
    <Menu icon="ellipsis" label={t("song.actions", { title: sound.name })}>
      <MenuEntry icon="rotate" onClick={() => reuse(job, item)}>
        {t("send.settings")}
      </MenuEntry>
      {offered.map((target) => (
        <MenuEntry key={target.key} icon={target.icon} onClick={() => useSound(sound, target.field, target.task, item)}>
          {t(target.key)}
        </MenuEntry>
      ))}
      {item.codes && (
        <MenuEntry icon="audioLines" onClick={() => fetchCodes(job, item)}>
          {t("send.codes")}
        </MenuEntry>
      )}
      <MenuEntry icon="pencil" onClick={onRename}>
        {t("song.rename")}
      </MenuEntry>
      {item.sidecar && (
        <MenuEntry
          icon="fileJson"
          onClick={() =>
            api.json(item.sidecar!).then(
              (found) => saveText(`${sound.name}.json`, "application/json", JSON.stringify(found, null, 2)),
              sayError,
            )
          }
        >
          {t("song.sidecar")}
        </MenuEntry>
      )}
      {item.lrc && (
        <MenuEntry
          icon="micVocal"
          onClick={() => api.text(item.lrc!).then((text) => saveText(`${sound.name}.lrc`, "text/plain", text), sayError)}
        >
          {t("song.lrc")}
        </MenuEntry>
      )}
      <MenuHead>{t("song.download")}</MenuHead>
      <div class="formats">
        {(params.value?.formats ?? []).map(({ name }) => (
          <MenuLink key={name} href={downloadAddress(item.audio, name)}>
            {name}
          </MenuLink>
        ))}
      </div>
      <MenuEntry icon="trash" danger onClick={() => remove(job)}>
        {t("song.delete")}
      </MenuEntry>
    </Menu>
  );
}
