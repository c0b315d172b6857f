/** The server's log, while somebody looks at it. */
import { signal } from "@preact/signals";
import { follow } from "../api/events";

export interface LogLine {
  id: string;
  time: number; // s
  level: string;
  area: string;
  text: string;
}

const KEPT = 300;
const FIRST = 100; // lines of the past to begin with

export const log = signal<LogLine[]>([]);

/** The returned function ends it. */
export function watchLog(): () => void {
  log.value = [];
  const stream = follow(`v1/logs?lines=${FIRST}`, {
    event: ({ id, data }) => (log.value = [...log.value, { ...(data as unknown as LogLine), id }].slice(-KEPT)),
    open: () => undefined,
    lost: () => undefined, // the bar at the top says so
  });
  return stream.stop;
}
