/** Everything that was made: searched, filtered, and more of it on demand. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import type { Job } from "../api/types";
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { SongCard } from "../parts/SongCard";
import { isOver, jobs, put } from "../state/jobs";
import { sayError } from "../state/notices";
import { online } from "../state/server";
import { t } from "../state/text";

const PAGE = 30;
const PAUSE = 200; // while a person types
const FILTERS = ["all", "favourites", "failed"] as const;
type Filter = (typeof FILTERS)[number];

function fits(job: Job, filter: Filter) {
  if (job.kind !== "song" || !isOver(job)) return false;
  if (filter === "favourites") return job.favourite;
  return filter === "failed" ? job.status !== "done" : job.status === "done";
}

export function Library() {
  const [text, setText] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  const [found, setFound] = useState<string[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [busy, setBusy] = useState(true);
  const turn = useRef(0);

  async function load(after: string | null) {
    const mine = ++turn.current;
    setBusy(true);
    try {
      const page = await api.jobs({
        kind: "song",
        q: text.trim(),
        ...(filter === "favourites" ? { favourite: true } : {}),
        status: filter === "failed" ? "failed,cancelled" : "done",
        limit: PAGE,
        ...(after ? { after } : {}),
      });
      if (mine !== turn.current) return;
      put(...page.jobs);
      const ids = page.jobs.map((job) => job.id);
      setFound(after ? [...found, ...ids] : ids);
      setNext(page.next ?? null);
    } catch (error) {
      sayError(error);
    }
    if (mine === turn.current) setBusy(false);
  }

  useEffect(() => {
    if (!online.value) return;
    const timer = setTimeout(() => void load(null), text ? PAUSE : 0);
    return () => clearTimeout(timer);
  }, [text, filter, online.value]);

  // songs that were finished meanwhile stand at the top, those that were removed are gone
  const oldest = found.length > 0 ? (jobs.value.get(found[found.length - 1]!)?.created ?? 0) : 0;
  const fresh =
    text.trim() === ""
      ? [...jobs.value.values()].filter((job) => fits(job, filter) && job.created > oldest && !found.includes(job.id))
      : [];
  const list = [...fresh, ...found.map((id) => jobs.value.get(id))]
    .filter((job): job is Job => job !== undefined && fits(job, filter))
    .sort((a, b) => b.created - a.created);

  return (
    <div class="screen">
      <div class="form-head">
        <h1 id="main" tabIndex={-1}>
          {t("library.title")}
        </h1>
      </div>
      <div class="library-tools">
        <div class="search" role="search">
          <Icon name="search" />
          <input
            id="search"
            type="search"
            aria-label={t("library.search")}
            placeholder={t("library.search")}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </div>
        <div class="segments" role="radiogroup" aria-label={t("library.filter")}>
          {FILTERS.map((name) => (
            <label key={name} class={name === filter ? "on" : ""}>
              <input type="radio" name="filter" checked={name === filter} onChange={() => setFilter(name)} />
              {t(`library.${name}`)}
            </label>
          ))}
        </div>
      </div>
      <p class="hidden" role="status">
        {busy ? "" : t(list.length === 1 ? "library.one" : "library.many", { n: list.length })}
      </p>
      {list.length === 0 && !busy && <p class="card empty quiet">{t(text ? "library.nothing" : "recent.empty")}</p>}
      <h2 class="hidden">{t("library.songs")}</h2>
      <ul class="songs large">
        {list.map((job) => (
          <SongCard key={job.id} job={job} />
        ))}
      </ul>
      {next && (
        <div class="row centre">
          <Button disabled={busy} icon="chevronDown" onClick={() => void load(next)}>
            {t("library.more")}
          </Button>
        </div>
      )}
    </div>
  );
}
