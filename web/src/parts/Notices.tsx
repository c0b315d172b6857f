/** Messages at the edge of the page. The regions are always there, or nothing in them would be read out. */
import { dismiss, notices, type Notice } from "../state/notices";
import { t } from "../state/text";
import { uploads } from "../state/uploads";
import { Button, IconButton } from "./Button";
import { Icon } from "./Icon";
import { Progress } from "./Progress";

const icons = { good: "check", note: "info", bad: "alert" } as const;

function List({ list }: { list: Notice[] }) {
  return (
    <>
      {list.map((notice) => (
        <div key={notice.id} class={`notice ${notice.kind}`}>
          <Icon name={icons[notice.kind]} />
          <div>
            <p>{notice.text}</p>
            {notice.hint && <p class="help">{notice.hint}</p>}
          </div>
          <IconButton icon="cross" size={16} label={t("dismiss")} onClick={() => dismiss(notice.id)} />
        </div>
      ))}
    </>
  );
}

export function Notices() {
  return (
    <div class="notices">
      {uploads.value.map((each) => (
        <div key={each.number} class="notice upload">
          <Icon name="upload" />
          <div>
            <p>{t("upload.sending", { name: each.name })}</p>
            <Progress value={each.fraction} label={t("upload.sending", { name: each.name })} />
          </div>
          <Button kind="quiet" onClick={each.cancel}>
            {t("cancel")}
          </Button>
        </div>
      ))}
      <div role="status" aria-live="polite">
        <List list={notices.value.filter((notice) => notice.kind !== "bad")} />
      </div>
      <div role="alert">
        <List list={notices.value.filter((notice) => notice.kind === "bad")} />
      </div>
    </div>
  );
}
