/** What can be done with a song. */
import { api, downloadAddress } from "../api/client";
import type { Item, Job } from "../api/types";
import { itemSound, reuse, saveText, useCodes, useSound, vary } from "../state/actions";
import { canScore, canTime, findOut, forgetFindings, isFinding, scoreOf } from "../state/findings";
import { refreshJob, remove } from "../state/jobs";
import { hasWords, timesOf } from "../state/lyrics";
import { sayError } from "../state/notices";
import { modes, params } from "../state/params";
import { may } from "../state/session";
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

/** Lists leave out what is long. */
const whole = (job: Job, item: Item) => (item.codes === undefined ? refreshJob(job.id) : Promise.resolve());

function GoOn({ job, item }: { job: Job; item: Item }) {
  const sound = itemSound(job, item);
  const offered = TARGETS.filter((target) =>
    modes.value.some((mode) => mode.available && mode.task_type === target.task && mode.fields.includes(target.field)),
  );
  return (
    <>
      <MenuEntry icon="rotate" onClick={() => void reuse(job, item)}>
        {t("send.settings")}
      </MenuEntry>
      <MenuEntry icon="dices" onClick={() => void vary(job, item)}>
        {t("send.vary")}
      </MenuEntry>
      {offered.map((target) => (
        <MenuEntry key={target.key} icon={target.icon} onClick={() => useSound(sound, target.field, target.task, item)}>
          {t(target.key)}
        </MenuEntry>
      ))}
      {item.codes && (
        <MenuEntry icon="audioLines" onClick={() => useCodes(item.codes!)}>
          {t("send.codes")}
        </MenuEntry>
      )}
    </>
  );
}

function FindOut({ job, item }: { job: Job; item: Item }) {
  const { id, name } = itemSound(job, item);
  const time = canTime.value && hasWords(job, item) && !timesOf(id, item) && !isFinding("lrc", id);
  const score = canScore(item) && !scoreOf(id, item) && !isFinding("score", id);
  return (
    <>
      {time && (
        <MenuEntry icon="micVocal" onClick={() => void findOut("lrc", id, name)}>
          {t("lyrics.time")}
        </MenuEntry>
      )}
      {score && (
        <MenuEntry icon="check" onClick={() => void findOut("score", id, name)}>
          {t("score.ask")}
        </MenuEntry>
      )}
    </>
  );
}

function Save({ address, name, type, children }: { address: string; name: string; type: string; children: string }) {
  return (
    <MenuEntry icon="micVocal" onClick={() => api.text(address).then((text) => saveText(name, type, text), sayError)}>
      {children}
    </MenuEntry>
  );
}

function Downloads({ job, item }: { job: Job; item: Item }) {
  const { id, name } = itemSound(job, item);
  const times = timesOf(id, item);
  return (
    <>
      <MenuHead>{t("song.download")}</MenuHead>
      <div class="formats">
        {(params.value?.formats ?? []).map((format) => (
          <MenuLink key={format.name} href={downloadAddress(item.audio, format.name)}>
            {format.name}
          </MenuLink>
        ))}
      </div>
      {item.sidecar && (
        <MenuEntry
          icon="fileJson"
          onClick={() =>
            api.json(item.sidecar!).then(
              (found) => saveText(`${name}.json`, "application/json", JSON.stringify(found, null, 2)),
              sayError,
            )
          }
        >
          {t("song.sidecar")}
        </MenuEntry>
      )}
      {times && (
        <Save address={times.lrc} name={`${name}.lrc`} type="text/plain">
          {t("song.lrc")}
        </Save>
      )}
      {times?.vtt && (
        <Save address={times.vtt} name={`${name}.vtt`} type="text/vtt">
          {t("song.vtt")}
        </Save>
      )}
      {item.latents && (
        <MenuLink icon="layers" href={item.latents} name={`${name}.latents`}>
          {t("song.latents")}
        </MenuLink>
      )}
    </>
  );
}

/** The focus goes on to the heading: where it was is gone. */
async function removeAll(job: Job) {
  await forgetFindings(job.id);
  await remove(job);
  document.getElementById("main")?.focus({ preventScroll: true });
}

export function SongMenu({ job, item, onRename }: { job: Job; item: Item; onRename: () => void }) {
  return (
    <Menu icon="ellipsis" label={t("song.actions", { title: itemSound(job, item).name })} before={() => whole(job, item)}>
      <GoOn job={job} item={item} />
      {may("generate") && <FindOut job={job} item={item} />}
      <MenuEntry icon="pencil" onClick={onRename}>
        {t("song.rename")}
      </MenuEntry>
      <Downloads job={job} item={item} />
      <MenuEntry icon="trash" danger onClick={() => void removeAll(job)}>
        {t("song.delete")}
      </MenuEntry>
    </Menu>
  );
}
