/** What was asked for and what is used instead, with the reason. */
import type { Warning } from "../api/types";
import { label, valueLabel } from "../state/params";
import { t } from "../state/text";
import { Icon } from "./Icon";

const shown = (name: string, value: string) => valueLabel(name, value);

export function Warnings({ list }: { list: Warning[] | undefined }) {
  if (!list || list.length === 0) return null;
  return (
    <ul class="warnings">
      {list.map((warning, index) => (
        <li key={index}>
          <Icon name="info" size={16} />
          <span>
            {warning.field && <strong>{label(warning.field)}: </strong>}
            {warning.asked !== undefined && warning.used !== undefined && (
              <span class="change">
                {t("warning.change", {
                  asked: shown(warning.field ?? "", warning.asked),
                  used: shown(warning.field ?? "", warning.used),
                })}{" "}
              </span>
            )}
            <span lang="en">{warning.reason ?? warning.message}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}
