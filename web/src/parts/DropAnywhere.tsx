/** Files may be dropped anywhere: audio is sent, settings are taken over. */
import { useEffect, useState } from "preact/hooks";
import type { Sound } from "../api/types";
import { fillFromFile, useSound } from "../state/actions";
import { fill } from "../state/form";
import { say } from "../state/notices";
import { modes } from "../state/params";
import { show } from "../state/look";
import { clock, t } from "../state/text";
import { isAudio, isJson, send } from "../state/uploads";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Icon, type IconName } from "./Icon";
import { Waveform } from "./Waveform";

function Choice({ sound, onClose }: { sound: Sound; onClose: () => void }) {
  const has = (task: string, field: string) =>
    modes.value.some((mode) => mode.available && mode.task_type === task && mode.fields.includes(field));
  const entry = (icon: IconName, text: string, act: () => void) => (
    <Button
      icon={icon}
      onClick={() => {
        act();
        onClose();
      }}
    >
      {text}
    </Button>
  );
  return (
    <Dialog title={t("dropped.title")} onClose={onClose} small>
      <p>
        <strong>{sound.name}</strong> <span class="quiet">{clock(sound.seconds)}</span>
      </p>
      <Waveform peaks={sound.peaks} seconds={sound.seconds} label={t("wave.of", { name: sound.name })} />
      <div class="choices">
        {sound.settings &&
          entry("rotate", t("dropped.settings"), () => {
            fill(sound.settings!);
            show("create");
            say("good", t("say.restored", { name: sound.name }));
          })}
        {has("cover", "src_audio") && entry("blend", t("send.remix"), () => useSound(sound, "src_audio", "cover"))}
        {has("repaint", "src_audio") && entry("scissors", t("send.repaint"), () => useSound(sound, "src_audio", "repaint"))}
        {has("text2music", "reference_audio") &&
          entry("disc", t("send.reference"), () => useSound(sound, "reference_audio", "text2music"))}
      </div>
    </Dialog>
  );
}

export function DropAnywhere() {
  const [over, setOver] = useState(false);
  const [sound, setSound] = useState<Sound | null>(null);

  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const onOver = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const onDrop = async (event: DragEvent) => {
      setOver(false);
      if (event.defaultPrevented || !hasFiles(event)) return;
      event.preventDefault();
      for (const file of event.dataTransfer!.files) {
        if (isJson(file)) await fillFromFile(file);
        else if (isAudio(file)) {
          const found = await send(file);
          if (found) setSound(found);
        } else say("bad", t("dropped.neither", { name: file.name }));
      }
    };
    const onDropFirst = () => setOver(false);
    addEventListener("dragover", onOver);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDropFirst, true);
    addEventListener("drop", onDrop);
    return () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDropFirst, true);
      removeEventListener("drop", onDrop);
    };
  }, []);

  return (
    <>
      {over && (
        <div class="drop-over" aria-hidden="true">
          <div>
            <Icon name="music" size={40} />
            <p>{t("dropped.hint")}</p>
          </div>
        </div>
      )}
      {sound && <Choice sound={sound} onClose={() => setSound(null)} />}
    </>
  );
}
