/** Another tier than the card's own. One that is made for a larger card is confirmed. */
import { useState } from "preact/hooks";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { SelectField } from "../../parts/inputs";
import { remark } from "../../state/params";
import { chooseTier, control, info, isAboveCard } from "../../state/system";
import { t } from "../../state/text";

export function TierField() {
  const [asked, ask] = useState("");
  const now = info.value?.label ?? "";

  function leave() {
    ask("");
    // what is shown has changed, what is meant has not
    (document.getElementById("field-tier") as HTMLSelectElement).value = info.peek()?.label ?? "";
  }

  return (
    <>
      <SelectField
        name="tier"
        value={now}
        note={remark(control("tier")?.note ?? "").text}
        choices={(control("tier")?.choices ?? []).map((label) => [String(label), String(label)] as [string, string])}
        onChange={(label) => (isAboveCard(label) ? ask(label) : chooseTier(label))}
        showHelp={false}
      />
      {asked && (
        <Dialog title={t("tier.above", { tier: asked })} onClose={leave} small>
          <p>{t("tier.aboveWhy")}</p>
          <div class="row">
            <Button
              kind="main"
              class="small"
              onClick={() => {
                chooseTier(asked);
                ask("");
              }}
            >
              {t("tier.aboveYes")}
            </Button>
            <Button onClick={leave}>{t("cancel")}</Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
