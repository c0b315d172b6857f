import { JobCard } from "../../parts/JobCard";
import { SongCard } from "../../parts/SongCard";
import { queue, songs } from "../../state/jobs";
import { show } from "../../state/look";
import { t } from "../../state/text";

const SHOWN = 4;

export function QueuePanel() {
  const list = queue.value;
  if (list.length === 0) return null;
  return (
    <section class="card" aria-labelledby="queue-title">
      <div class="card-head">
        <h2 id="queue-title">{t("queue.title")}</h2>
        <span class="quiet">{t(list.length === 1 ? "queue.one" : "queue.many", { n: list.length })}</span>
      </div>
      <ol class="jobs">
        {list.map((job) => (
          <JobCard key={job.id} job={job} />
        ))}
      </ol>
    </section>
  );
}

export function RecentPanel() {
  const list = songs.value.filter((job) => job.status !== "cancelled").slice(0, SHOWN);
  return (
    <section class="card" aria-labelledby="recent-title">
      <div class="card-head">
        <h2 id="recent-title">{t("recent.title")}</h2>
        {list.length > 0 && (
          <button type="button" class="link" onClick={() => show("library")}>
            {t("recent.all")}
          </button>
        )}
      </div>
      {list.length === 0 ? (
        <p class="quiet empty">{t("recent.empty")}</p>
      ) : (
        <ul class="songs">
          {list.map((job) => (
            <SongCard key={job.id} job={job} />
          ))}
        </ul>
      )}
    </section>
  );
}
