/** This machine, and how the page looks and listens. */
import { Button } from "../parts/Button";
import { Warnings } from "../parts/Warnings";
import { dialog, singleKeys, theme, type Theme } from "../state/look";
import { may } from "../state/session";
import { refreshSystem, info, system } from "../state/system";
import { languageChoice, number, t } from "../state/text";
import { deviceLine } from "./create/EnginePanel";
import { LogPanel } from "./LogPanel";
import { TierTable } from "./TierTable";

const THEMES: Theme[] = ["system", "light", "dark"];

export function Preferences() {
  return (
    <section class="card stack" aria-labelledby="look-title">
      <h2 id="look-title">{t("look.title")}</h2>
      <div class="grid">
        <div class="field">
          <span class="label" id="theme-label">
            {t("look.theme")}
          </span>
          <div class="segments" role="radiogroup" aria-labelledby="theme-label">
            {THEMES.map((name) => (
              <label key={name} class={name === theme.value ? "on" : ""}>
                <input type="radio" name="theme" checked={name === theme.value} onChange={() => (theme.value = name)} />
                {t(`look.${name}`)}
              </label>
            ))}
          </div>
        </div>
        <div class="field">
          <label for="language">{t("look.language")}</label>
          <select
            id="language"
            value={languageChoice.value}
            onChange={(event) => (languageChoice.value = event.currentTarget.value)}
          >
            <option value="">{t("look.browser")}</option>
            {LANGUAGES.map(([code, name]) => (
              <option key={code} value={code} lang={code}>
                {name}
              </option>
            ))}
          </select>
        </div>
      </div>
      <div class="switch-row">
        <input
          type="checkbox"
          role="switch"
          class="switch"
          id="single-keys"
          checked={singleKeys.value}
          aria-describedby="single-keys-help"
          onChange={(event) => (singleKeys.value = event.currentTarget.checked)}
        />
        <div>
          <label for="single-keys">{t("look.keys")}</label>
          <p class="help" id="single-keys-help">
            {t("look.keysHelp")}
          </p>
        </div>
      </div>
      <div class="row">
        <Button icon="circleHelp" onClick={() => (dialog.value = "help")}>
          {t("keyboard.title")}
        </Button>
        <Button icon="key" onClick={() => (dialog.value = "key")}>
          {t("key.title")}
        </Button>
      </div>
    </section>
  );
}

export function SystemScreen() {
  const now = info.value;
  const facts: [string, string][] = now
    ? [
        [t("system.device"), deviceLine()],
        [t("system.tier"), now.label],
        [t("system.source"), t(`system.source.${now.source === "detected" ? "detected" : "chosen"}`)],
        [t("system.memory"), `${number(now.device.total_gb, 1)} GB`],
        [t("system.free"), `${number(now.device.free_gb, 1)} GB`],
        [t("system.host"), `${number(now.device.host_gb, 1)} GB · ${t("system.cpus", { n: now.device.cpus })}`],
        [t("system.attention"), now.attention],
        [t("system.version"), system.value?.version ?? ""],
      ]
    : [];
  return (
    <div class="screen">
      <div class="form-head">
        <h1 id="main" tabIndex={-1}>
          {t("system.title")}
        </h1>
        <Button icon="rotate" onClick={() => void refreshSystem()}>
          {t("system.refresh")}
        </Button>
      </div>
      <div class="columns">
        <section class="card stack" aria-labelledby="machine-title">
          <h2 id="machine-title">{t("system.machine")}</h2>
          <dl class="facts-list">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {now && now.diagnosis.length > 0 && (
            <ul class="diagnosis" lang="en">
              {now.diagnosis.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          )}
          <Warnings list={now?.warnings} />
          <p class="help">{t("system.controls")}</p>
        </section>
        <Preferences />
      </div>
      <TierTable />
      {may("admin") && <LogPanel />}
      <p class="quiet">
        <a href="openapi.json">{t("system.api")}</a> · <a href="metrics">{t("system.metrics")}</a> ·{" "}
        <a href="licenses.txt">{t("system.licences")}</a>
      </p>
    </div>
  );
}
