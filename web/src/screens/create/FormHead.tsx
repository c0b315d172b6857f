/** Presets, settings from and to files, and a fresh start. */
import { useRef, useState } from "preact/hooks";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Menu, MenuEntry, MenuHead } from "../../parts/Menu";
import { fillFromFile, saveText } from "../../state/actions";
import { reset } from "../../state/form";
import { dialog } from "../../state/look";
import { say } from "../../state/notices";
import { applyPreset, copyCommand, presets, removePreset, savePreset, settings } from "../../state/presets";
import { t } from "../../state/text";

function PresetDialog() {
  const [name, setName] = useState("");
  const close = () => (dialog.value = "");
  return (
    <Dialog title={t("preset.title")} onClose={close} small>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          const wanted = name.trim();
          if (!wanted) return;
          void savePreset(wanted);
          close();
        }}
      >
        <label for="preset-name">{t("preset.name")}</label>
        <div class="row">
          <input
            id="preset-name"
            type="text"
            value={name}
            maxLength={60}
            required
            autocomplete="off"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button class="button main small" type="submit">
            {t("save")}
          </button>
        </div>
        <p class="help">{t("preset.help")}</p>
      </form>
      {presets.value.length > 0 && (
        <ul class="plain-list">
          {presets.value.map((each) => (
            <li key={each} class="row">
              <span class="grow">{each}</span>
              <Button kind="quiet" icon="trash" onClick={() => removePreset(each)}>
                {t("preset.delete")}
                <span class="hidden"> {each}</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

export function FormHead() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="form-head">
      <h1 id="main" tabIndex={-1}>
        {t("create.title")}
      </h1>
      <div class="row">
        <Menu icon="folderOpen" label={t("preset.menu")} text={t("preset.menu")}>
          {presets.value.length > 0 && <MenuHead>{t("preset.mine")}</MenuHead>}
          {presets.value.map((name) => (
            <MenuEntry key={name} icon="music" onClick={() => applyPreset(name)}>
              {name}
            </MenuEntry>
          ))}
          <MenuEntry icon="save" onClick={() => setTimeout(() => (dialog.value = "preset"))}>
            {t("preset.save")}
          </MenuEntry>
          <MenuHead>{t("settings.file")}</MenuHead>
          <MenuEntry icon="fileJson" onClick={() => input.current?.click()}>
            {t("settings.load")}
          </MenuEntry>
          <MenuEntry
            icon="download"
            onClick={() => saveText("acestep-settings.json", "application/json", JSON.stringify(settings(), null, 2))}
          >
            {t("settings.save")}
          </MenuEntry>
          <MenuEntry icon="copy" onClick={() => void copyCommand()}>
            {t("settings.copy")}
          </MenuEntry>
          <MenuEntry
            icon="rotate"
            onClick={() => {
              reset();
              say("note", t("say.reset"));
            }}
          >
            {t("settings.reset")}
          </MenuEntry>
        </Menu>
        <input
          ref={input}
          type="file"
          accept=".json,application/json"
          hidden
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void fillFromFile(file);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {dialog.value === "preset" && <PresetDialog />}
    </div>
  );
}
