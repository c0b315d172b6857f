/** Which checkpoints this server has. */
import { Icon } from "../parts/Icon";
import { system } from "../state/system";
import { t } from "../state/text";

function List({ title, names }: { title: string; names: string[] }) {
  return (
    <section class="card stack" aria-label={title}>
      <h2>{title}</h2>
      {names.length === 0 ? (
        <p class="quiet">{t("models.none")}</p>
      ) : (
        <ul class="plain-list">
          {names.map((name) => (
            <li key={name} class="row">
              <Icon name="pack" />
              <span class="grow">{name}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Models() {
  const models = system.value?.models;
  return (
    <div class="screen">
      <div class="form-head">
        <h1 id="main" tabIndex={-1}>
          {t("models.title")}
        </h1>
      </div>
      <p class="quiet">{models?.folder ? t("models.folder", { folder: models.folder }) : t("models.demo")}</p>
      <div class="columns">
        <List title={t("models.dit")} names={models?.dit ?? []} />
        <List title={t("models.lm")} names={models?.lm ?? []} />
      </div>
    </div>
  );
}
