/** Server-sent events, read with fetch because EventSource cannot send a key. */
import { open, ApiError } from "./client";

export interface ServerEvent {
  id: string;
  name: string;
  data: Record<string, unknown>;
}

/** Cuts the text of a stream into events. Give it pieces as they come; it keeps what is unfinished. */
export class EventReader {
  #rest = "";

  read(piece: string): ServerEvent[] {
    const blocks = (this.#rest + piece).replace(/\r\n/g, "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event): event is ServerEvent => event !== null);
  }
}

function parse(block: string): ServerEvent | null {
  let id = "";
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  if (data.length === 0) return null; // a comment that keeps the connection open
  try {
    return { id, name, data: JSON.parse(data.join("\n")) };
  } catch {
    return null;
  }
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
const SILENCE = 35000; // the server says something every 10 s

/** Follows a stream until it is stopped: after a break it goes on where it was. */
export function follow(
  path: string,
  on: { event: (event: ServerEvent) => void; open: () => void; lost: () => void },
): { retry: () => void; stop: () => void } {
  let last = "";
  let wait = FIRST_WAIT;
  let wake: () => void = () => undefined;
  let running: AbortController | undefined;
  let stopped = false;

  async function once() {
    const abort = (running = new AbortController());
    let silence = setTimeout(() => abort.abort(), SILENCE);
    try {
      const response = await open(path, {
        signal: abort.signal,
        cache: "no-store",
        headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) },
      });
      on.open();
      wait = FIRST_WAIT;
      const events = new EventReader();
      const text = new TextDecoder();
      const body = response.body!.getReader();
      for (;;) {
        const { done, value } = await body.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE);
        for (const event of events.read(text.decode(value, { stream: true }))) {
          if (event.id) last = event.id;
          on.event(event);
        }
      }
    } finally {
      clearTimeout(silence);
    }
  }

  async function forever() {
    while (!stopped) {
      try {
        await once();
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) {
          wait = LONGEST_WAIT; // until a key is given, which calls retry
        }
      }
      if (stopped) return;
      on.lost();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }

  void forever();
  return {
    retry: () => {
      wait = FIRST_WAIT;
      wake();
    },
    stop: () => {
      stopped = true;
      running?.abort();
      wake();
    },
  };
}
