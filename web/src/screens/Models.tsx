/** Which checkpoints this server works with, and which can be had. */
import { api } from "../api/client";
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { sayError } from "../state/notices";
import { may } from "../state/session";
import { isDemo, system } from "../state/system";
import { clock, t } from "../state/text";
import { StoreList } from "./StoreList";

function Model({ title, name }: { title: string; name: string | null | undefined }) {
  return (
    <li class="row">
      <Icon name="pack" />
      <span class="grow">
        <span class="quiet">{title}</span>
        <br />
        {name?.split("/").pop() || t("models.none")}
      </span>
    </li>
  );
}

export function Models() {
  const models = system.value?.models;
  const card = models?.card;
  const state = system.value?.engine?.state;
  return (
    <div class="screen">
      <div class="form-head">
        <h1 id="main" tabIndex={-1}>
          {t("models.title")}
        </h1>
      </div>
      <section class="card stack">
        <h2>{models?.folder ? t("models.folder", { folder: models.folder }) : t("models.builtIn")}</h2>
        {models?.error && (
          <p class="fault" lang="en">
            {models.error}
          </p>
        )}
        {isDemo.value ? <p>{t("demo.about")}</p> : card?.note && <p lang="en">{card.note}</p>}
        <ul class="plain-list">
          <Model title={t("models.dit")} name={isDemo.value ? card?.name : models?.dit} />
          <Model title={t("models.lm")} name={models?.lm} />
        </ul>
        {card?.max_duration ? (
          <p class="quiet">
            {t("models.length", { short: clock(card.min_duration ?? 0), long: clock(card.max_duration) })}
          </p>
        ) : null}
        <div class="row">
          <p class="quiet grow" role="status">
            {t(`models.state.${state === "unloaded" ? "unloaded" : state === "loading" ? "loading" : "loaded"}`)}
          </p>
          {state === "unloaded" && may("admin") && (
            <Button icon="cpu" onClick={() => api.load().catch(sayError)}>
              {t("models.load")}
            </Button>
          )}
          {state === "loaded" && may("admin") && (
            <Button icon="cross" onClick={() => api.unload().catch(sayError)}>
              {t("models.unload")}
            </Button>
          )}
        </div>
      </section>
      <StoreList />
    </div>
  );
}
