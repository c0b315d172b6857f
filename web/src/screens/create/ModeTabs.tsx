/** What to make. Modes that the model cannot do are shown with the reason. */
import { Icon, type IconName } from "../../parts/Icon";
import { mode, modeName } from "../../state/form";
import { show } from "../../state/look";
import { modeLabel, modes, remark } from "../../state/params";
import { base, useModel } from "../../state/store";
import { may } from "../../state/session";
import { maybe, t } from "../../state/text";

const icons: Record<string, IconName> = {
  simple: "wand",
  custom: "pencil",
  cover: "blend",
  repaint: "scissors",
  extract: "layers",
  lego: "guitar",
  complete: "plus",
};

/** The way out: a base model that is there, or where to get one. */
function BaseModel() {
  const there = base.value;
  return (
    <>
      {" "}
      <button type="button" class="link" onClick={() => (there ? void useModel(there.name) : show("models"))}>
        {there ? t("models.useName", { name: there.name }) : t("models.getBase")}
      </button>
    </>
  );
}

export function ModeTabs() {
  const list = modes.value;
  const now = mode.value;
  const reasons = new Map<string, string[]>();
  for (const each of list)
    if (!each.available) {
      const why = each.reason ?? "";
      reasons.set(why, [...(reasons.get(why) ?? []), modeLabel(each)]);
    }

  return (
    <div class="modes-box">
      <div class="modes" role="radiogroup" aria-label={t("modes")}>
        {list.map((each) => (
          <label key={each.name} class={`mode ${each === now ? "on" : ""} ${each.available ? "" : "off"}`}>
            <input
              type="radio"
              name="mode"
              value={each.name}
              checked={each === now}
              disabled={!each.available}
              aria-describedby={each.available ? undefined : "mode-reasons"}
              onChange={() => (modeName.value = each.name)}
            />
            <Icon name={icons[each.name] ?? "music"} size={18} />
            <span>{modeLabel(each)}</span>
          </label>
        ))}
      </div>
      {now && maybe(`mode.${now.name}.about`) && <p class="help mode-about">{maybe(`mode.${now.name}.about`)}</p>}
      {reasons.size > 0 && (
        <div id="mode-reasons" class="reasons">
          {[...reasons].map(([why, names]) => (
            <p key={why} class="help">
              <Icon name="info" size={14} /> <strong>{names.join(", ")}</strong>:{" "}
              <span lang={remark(why).english ? "en" : undefined}>{remark(why).text}</span>
              {why.includes("base model") && may("admin") && <BaseModel />}
            </p>
          ))}
        </div>
      )}
    </div>
  );
}
