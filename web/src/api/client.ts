/** Requests to the server that this page came from. */
import type { Adapter, DeviceState, Download, DryRun, Job, Params, Peaks, Right, Store, System, Uploaded, Value, Values } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number /* 0: the server could not be reached */,
    readonly code: string,
    message: string,
    readonly param?: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** Called when a key is missing or refused. */
export let onLocked: () => void = () => undefined;
export function whenLocked(act: () => void) {
  onLocked = act;
}

/** For this tab only: whoever opens the browser later does not have it. */
export const key = {
  get: () => sessionStorage.getItem("acestep.key") ?? "",
  set: (value: string) => sessionStorage.setItem("acestep.key", value),
};

export function headers(): Record<string, string> {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

export async function failure(response: Response): Promise<ApiError> {
  let body: { error?: { code?: string; message?: string; param?: string; hint?: string } } = {};
  try {
    body = await response.json();
  } catch {
    // not from this server's handlers: the status line has to do
  }
  if (response.status === 401) onLocked();
  const { code, message, param, hint } = body.error ?? {};
  const text = message ?? `${response.status} ${response.statusText}`;
  return new ApiError(response.status, code ?? "http", text, param ?? undefined, hint ?? undefined);
}

export async function open(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...headers(), ...init.headers } });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, signal: signal ?? null };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const response = await open(path, init);
  return response.status === 204 ? (undefined as T) : await response.json();
}

function query(values: Record<string, string | number | boolean | undefined>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs.map(([k, v]) => [k, String(v)]))}` : "";
}

export interface JobsQuery {
  status?: string;
  kind?: string;
  q?: string;
  favourite?: boolean;
  limit?: number;
  after?: string;
}

const one = encodeURIComponent;

export const api = {
  params: () => call<Params>("GET", "v1/params"),
  system: (options: Values, signal?: AbortSignal) =>
    call<System>("GET", `v1/system${query(options)}`, undefined, signal),

  /** What every job starts from; null puts an option back. */
  setDefaults: (options: Record<string, Value | null>) => call<System>("PATCH", "v1/system", options),

  dryRun: (request: Values, signal: AbortSignal) =>
    call<DryRun>("POST", "v1/jobs?dry_run=1", request, signal),
  submit: (request: Values) => call<Job>("POST", "v1/jobs", request),
  job: (id: string) => call<Job>("GET", `v1/jobs/${one(id)}`),
  jobs: (what: JobsQuery) => call<{ jobs: Job[]; next?: string | null }>("GET", `v1/jobs${query({ ...what })}`),
  change: (id: string, what: { title?: string; favourite?: boolean }) =>
    call<Job>("PATCH", `v1/jobs/${one(id)}`, what),
  remove: (id: string) => call<void>("DELETE", `v1/jobs/${one(id)}`),
  cancel: (id: string) => call<Job>("POST", `v1/jobs/${one(id)}/cancel`, {}),
  reorder: (ids: string[]) => call<unknown>("POST", "v1/jobs/reorder", { ids }),

  upload: (id: string) => call<Uploaded>("GET", `v1/uploads/${one(id)}`),

  /** Jobs of the language model alone; the answer is a job record. */
  words: (kind: "sample" | "format" | "understand", request: Values) =>
    call<Job>("POST", `v1/${kind}`, request),

  /** What can be found out about a song that is there: "j_…/0". */
  listen: (kind: "lrc" | "score", song: string) => call<Job>("POST", `v1/${kind}`, { song }),

  peaks: (path: string, signal?: AbortSignal) => call<Peaks>("GET", path, undefined, signal),
  json: (path: string) => call<Values>("GET", path),
  text: async (path: string) => (await open(path)).text(),

  load: () => call<unknown>("POST", "v1/models/load", {}),
  unload: () => call<unknown>("POST", "v1/models/unload", {}),

  session: () => call<{ rights: Right[] }>("GET", "v1/session"),
  health: () => call<{ device: DeviceState }>("GET", "health"),
  reopen: () => call<unknown>("POST", "v1/device/reopen", {}),

  store: () => call<Store>("GET", "v1/store"),
  download: (sets: string[]) => call<Download>("POST", "v1/store/download", { sets }),
  cancelDownload: (id: string) => call<unknown>("DELETE", `v1/store/downloads/${one(id)}`),

  adapters: () => call<{ adapters: Adapter[] }>("GET", "v1/adapters"),
  addAdapter: async (file: File) => {
    const body = new FormData();
    body.append("file", file, file.name);
    return (await (await open("v1/adapters", { method: "POST", body })).json()) as Adapter;
  },
  removeAdapter: (name: string) => call<void>("DELETE", `v1/adapters/${one(name)}`),

  presets: () => call<{ presets: { name: string }[] }>("GET", "v1/presets"),
  preset: (name: string) => call<{ request: Values }>("GET", `v1/presets/${one(name)}`),
  savePreset: (name: string, values: Values) => call<unknown>("PUT", `v1/presets/${one(name)}`, values),
  removePreset: (name: string) => call<void>("DELETE", `v1/presets/${one(name)}`),
};

/** The audio of an item in another format. */
export function audioAs(audio: string, format: string): string {
  const mark = audio.includes("?") ? "&" : "?";
  return `${audio}${mark}format=${one(format)}`;
}

/** … to be saved. */
export const downloadAddress = (audio: string, format: string) => `${audioAs(audio, format)}&download=1`;

/** Uploads with progress; the returned function gives up. */
export function upload(
  file: File,
  progress: (fraction: number) => void,
  done: (result: Uploaded | ApiError) => void,
): () => void {
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append("file", file, file.name);
  request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
  request.onerror = () => done(new ApiError(0, "unreachable", ""));
  request.onload = async () => {
    const response = new Response(request.responseText, { status: request.status });
    done(response.ok ? await response.json() : await failure(response));
  };
  request.open("POST", "v1/uploads");
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  request.send(form);
  return () => request.abort();
}
