/** How well a song says what it was to say, as one number, and unfolded for each of its words. */
import type { Item } from "../api/types";
import { isFinding, scoreOf } from "../state/findings";
import { maybe, number, t } from "../state/text";

const percent = (share: number) => `${number(share * 100)} %`;

/** A condition has the name of its option, but for one. */
const named = (name: string) => maybe(`option.${name === "language" ? "vocal_language" : name}`) ?? name;

export function ScoreDetails({ song, item }: { song: string; item: Item }) {
  const score = scoreOf(song, item);
  if (!score) return isFinding("score", song) ? <p class="quiet song-details">{t("score.working")}</p> : null;
  const rows: [string, number][] = Object.entries(score.conditions).map(([name, share]) => [named(name), share]);
  if (item.lyric_score) rows.push([t("score.sung"), item.lyric_score.dit]);
  return (
    <details class="song-details score">
      <summary>{t("score.total", { n: percent(score.global) })}</summary>
      <dl>
        {rows.map(([name, share]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span class="score-bar" style={{ "--share": `${Math.max(0, Math.min(1, share)) * 100}%` }} />
              {percent(share)}
            </dd>
          </div>
        ))}
      </dl>
      <p class="help">{t("score.about")}</p>
    </details>
  );
}
