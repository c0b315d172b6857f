import { Icon, type IconName } from "../parts/Icon";
import { IconButton } from "../parts/Button";
import { queue } from "../state/jobs";
import { dialog, screen, SCREENS, show, theme, type Screen } from "../state/look";
import { connection } from "../state/server";
import { info } from "../state/system";
import { t } from "../state/text";
import { deviceLine } from "./create/EnginePanel";
import { retry } from "../state/boot";

const icons: Record<Screen, IconName> = { create: "music", library: "library", models: "pack", system: "cpu" };

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
      <rect width="32" height="32" rx="9" class="logo-back" />
      <g class="logo-bars">
        <rect x="6" y="13" width="3" height="6" rx="1.5" />
        <rect x="11.25" y="8" width="3" height="16" rx="1.5" />
        <rect x="16.5" y="11" width="3" height="10" rx="1.5" />
        <rect x="21.75" y="5" width="3" height="22" rx="1.5" />
      </g>
    </svg>
  );
}

export function Header() {
  const now = info.value;
  const next = theme.value === "dark" ? "light" : theme.value === "light" ? "system" : "dark";
  return (
    <header class="top">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        {t("skip")}
      </a>
      <div class="brand">
        <Logo />
        <span>acestep</span>
      </div>
      <nav aria-label={t("screens")}>
        {SCREENS.map((name) => (
          <a
            key={name}
            href={`#/${name}`}
            aria-current={screen.value === name ? "page" : undefined}
            onClick={(event) => {
              event.preventDefault();
              show(name);
            }}
          >
            <Icon name={icons[name]} />
            <span>{t(`screen.${name}`)}</span>
            {name === "create" && queue.value.length > 0 && (
              <span class="count">
                {queue.value.length}
                <span class="hidden"> {t("queue.title")}</span>
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="top-end">
        {now && (
          <button type="button" class="tier" id="tier" title={deviceLine()} onClick={() => show("system")}>
            <Icon name="cpu" size={14} />
            <span>{now.label}</span>
            {now.device.simulated && <span class="chip">{t("tier.simulated")}</span>}
            {now.source !== "detected" && <span class="chip">{t("tier.chosen")}</span>}
          </button>
        )}
        <IconButton
          icon={theme.value === "dark" ? "moon" : theme.value === "light" ? "sun" : "monitor"}
          label={t("look.switch", { now: t(`look.${theme.value}`), next: t(`look.${next}`) })}
          onClick={() => (theme.value = next)}
        />
        <IconButton icon="circleHelp" label={t("keyboard.title")} onClick={() => (dialog.value = "help")} />
      </div>
    </header>
  );
}

/** Always there for screen readers; seen when the server is not. */
export function ConnectionBar() {
  const state = connection.value;
  const text =
    state === "lost" ? t("server.lost") : state === "locked" ? t("server.locked") : state === "connecting" ? t("server.connecting") : "";
  return (
    <div class={`connection ${state}`} role="status">
      {text && (
        <>
          <span class="pulse" aria-hidden="true" />
          <span>{text}</span>
          {state === "lost" && (
            <button type="button" class="link" onClick={retry}>
              {t("server.now")}
            </button>
          )}
          {state === "locked" && (
            <button type="button" class="link" onClick={() => (dialog.value = "key")}>
              {t("key.title")}
            </button>
          )}
        </>
      )}
    </div>
  );
}
