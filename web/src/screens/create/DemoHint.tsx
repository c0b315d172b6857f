/** What is heard before anything was downloaded, and the way to more. */
import { Button } from "../../parts/Button";
import { show } from "../../state/look";
import { may } from "../../state/session";
import { missingSize, wanted } from "../../state/store";
import { isDemo } from "../../state/system";
import { bytes, t } from "../../state/text";

export function DemoHint() {
  if (!isDemo.value) return null;
  return (
    <section class="advice" id="demo" aria-label={t("demo.title")}>
      <p>
        <strong>{t("demo.title")}</strong> {t("demo.about")}
      </p>
      {may("admin") && wanted.value.length > 0 && (
        <Button icon="download" onClick={() => show("models")}>
          {t("demo.more", { size: bytes(missingSize(wanted.value)) })}
        </Button>
      )}
    </section>
  );
}
