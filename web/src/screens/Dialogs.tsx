/** Help with the keyboard, and the key that a server may ask for. */
import { useState } from "preact/hooks";
import { key } from "../api/client";
import { Dialog } from "../parts/Dialog";
import { retry } from "../state/boot";
import { dialog } from "../state/look";
import { t } from "../state/text";
import { SHORTCUTS } from "../shortcuts";

const close = () => (dialog.value = "");

function HelpDialog() {
  return (
    <Dialog title={t("keyboard.title")} onClose={close}>
      <table class="keys">
        <thead class="hidden">
          <tr>
            <th scope="col">{t("keyboard.key")}</th>
            <th scope="col">{t("keyboard.does")}</th>
          </tr>
        </thead>
        <tbody>
          {SHORTCUTS.map((each) => (
            <tr key={each.text}>
              <th scope="row">
                {each.keys.map((name) => (
                  <kbd key={name}>{name}</kbd>
                ))}
              </th>
              <td>{t(each.text)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="help">{t("keyboard.single")}</p>
    </Dialog>
  );
}

function KeyDialog() {
  const [text, setText] = useState(key.get());
  return (
    <Dialog title={t("key.title")} onClose={close} small>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          key.set(text.trim());
          close();
          retry();
        }}
      >
        <p>{t("key.why")}</p>
        <label for="key">{t("key.label")}</label>
        <div class="row">
          <input
            id="key"
            type="password"
            autocomplete="off"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button class="button main small" type="submit">
            {t("key.use")}
          </button>
        </div>
        <p class="help">{t("key.kept")}</p>
      </form>
    </Dialog>
  );
}

export function Dialogs() {
  if (dialog.value === "help") return <HelpDialog />;
  if (dialog.value === "key") return <KeyDialog />;
  return null;
}
