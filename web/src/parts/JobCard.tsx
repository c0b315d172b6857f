/** A job that waits or runs: where it stands, how long it takes, and what can be done with it. */
import type { Job } from "../api/types";
import { cancel, move, queue, title } from "../state/jobs";
import { maybe, span, t } from "../state/text";
import { Button, IconButton } from "./Button";
import { Progress } from "./Progress";
import { Warnings } from "./Warnings";

/** "language model (bpm, token 6, …)": the stage in the reader's language, the details as they come. */
function stageName(name: string): string {
  const [stage, detail] = name.split(" (");
  const known = maybe(`phase.${stage}`) ?? stage!;
  return detail ? `${known} (${detail.split(",")[0]!.replace(")", "")})` : known;
}

function Standing({ job }: { job: Job }) {
  if (job.status === "queued") {
    const wait = job.wait_seconds;
    const n = queue.value.filter((each) => each.status === "queued").findIndex((each) => each.id === job.id) + 1;
    return (
      <span>
        {t("job.position", { n })}
        {wait !== null && wait !== undefined && ` · ${t("job.startsIn", { time: span(wait) })}`}
      </span>
    );
  }
  const { stage, whole, eta_seconds: left } = job.progress ?? { stage: "", whole: 0, eta_seconds: null };
  return (
    <span>
      {stage ? stageName(stage) : t("job.starting")}
      {whole > 0 && ` · ${Math.round(whole * 100)} %`}
      {left !== null && left !== undefined && left > 0 && ` · ${t("job.left", { time: span(left) })}`}
    </span>
  );
}

export function JobCard({ job }: { job: Job }) {
  const name = title(job);
  const waiting = queue.value.filter((each) => each.status === "queued");
  const at = waiting.findIndex((each) => each.id === job.id);
  return (
    <li class={`job ${job.status}`} data-job={job.id}>
      <div class="job-head">
        <div class="job-name">
          <strong>{name}</strong>
          <span class="quiet">
            <Standing job={job} />
          </span>
        </div>
        {job.status === "queued" && waiting.length > 1 && (
          <>
            <IconButton icon="arrowUp" label={t("job.up", { title: name })} disabled={at <= 0} onClick={() => move(job, -1)} />
            <IconButton
              icon="arrowDown"
              label={t("job.down", { title: name })}
              disabled={at < 0 || at === waiting.length - 1}
              onClick={() => move(job, 1)}
            />
          </>
        )}
        <Button kind="quiet" icon="cross" class="cancel" onClick={() => cancel(job)}>
          {t("job.cancel")}
          <span class="hidden"> {name}</span>
        </Button>
      </div>
      {job.status === "running" && (
        <Progress value={job.progress ? job.progress.whole : undefined} label={t("job.progress", { title: name })} />
      )}
      <Warnings list={job.warnings} />
    </li>
  );
}
