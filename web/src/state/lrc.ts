/** Lyrics with times, as LRC files have them: "[01:02.50]a line". */

export interface Line {
  at: number; // seconds
  text: string;
}

const TIME = /^\[(\d+):(\d{1,2}(?:[.:]\d{1,3})?)\]/;

/** Lines in the order in which they are sung; one with several times is there as often. Tags such as [ti:…] are none. */
export function readLrc(text: string): Line[] {
  const lines: Line[] = [];
  for (const row of text.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    const times: number[] = [];
    let rest = row.trim();
    for (let found = TIME.exec(rest); found; found = TIME.exec(rest)) {
      times.push(Number(found[1]) * 60 + Number(found[2]!.replace(":", ".")));
      rest = rest.slice(found[0].length).trimStart();
    }
    if (rest !== "") for (const at of times) lines.push({ at, text: rest });
  }
  return lines.sort((a, b) => a.at - b.at);
}

/** The line that is sung at a time; -1 before the first. */
export function lineAt(lines: Line[], seconds: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle]!.at <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** "[Verse]": a part of the song, not sung. */
export const isSection = (text: string) => /^\[[^\]]*\]$/.test(text.trim());
