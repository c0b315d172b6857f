/** What the server sends. Only what the page reads is named. */

export type Value = string | number | boolean;
export type Values = Record<string, Value>;

/** A row of the option table. */
export interface Option {
  name: string;
  kind: "flag" | "int" | "real" | "text" | "word";
  group: string;
  help: string;
  default: Value;
  minimum?: number;
  maximum?: number;
  longest?: number;
  words?: string;
}

export interface Mode {
  name: string;
  label: string;
  task_type: string;
  fields: string[];
  required: string[];
  think: boolean;
  available: boolean;
  reason?: string;
}

export interface Params {
  options: Option[];
  modes: Mode[];
  languages: string[];
  tracks: string[];
  formats: { name: string; media_type: string }[];
  keys: string[];
  defaults: Values; // what the server's own command line has set
}

/** A control of the engine panel, set up for the card. */
export interface Control {
  value: Value;
  choices?: Value[];
  min?: number;
  max?: number;
  disabled: boolean;
  note: string;
}

/** An adapter of the transformer that requests may name. */
export interface Adapter {
  name: string;
  uploaded: boolean;
  error?: string | null; // why it cannot be used
  kind?: string; // lora, loha, lokr, mixed
  dora?: boolean;
  rank?: { least: number; most: number };
  layers?: number;
}

export interface Device {
  kind: string;
  name: string;
  total_gb: number;
  free_gb: number;
  cap_gb: number;
  simulated: boolean;
  host_gb: number;
  cpus: number;
}

export interface Warning {
  id?: string;
  field?: string;
  asked?: string;
  used?: string;
  reason?: string;
  message?: string;
}

/** How the card is: a job that met a failing one has ended; the next opens it anew, or does without. */
export interface DeviceState {
  name: string | null;
  state: "ok" | "lost" | "fallback";
  cause: string | null; // of the last loss
  problem: string | null; // why it could not be opened anew
  losses: number;
  reopened: number;
}

export interface Info {
  device: Device;
  tier: string;
  label: string;
  source: string;
  limits: Record<string, unknown>;
  attention: string;
  controls: Record<string, Control>;
  warnings: Warning[];
  diagnosis: string[];
}

export interface System {
  version: string;
  info: Info;
  engine?: { state: string; error?: string | null };
  models?: {
    dit: string | null;
    lm: string | null;
    folder: string | null;
    card?: { name: string; note?: string; min_duration?: number; max_duration?: number } | null;
    error?: string | null;
  };
  started?: number;
}

export interface PlanStage {
  name: string;
  stage: string;
  peak_bytes: number;
  work_bytes: number;
  components: Record<string, number>;
  bytes: Record<string, number>;
  load_seconds: number;
  compute_seconds: number;
}

export interface Plan {
  tier: string;
  device: string;
  cap_bytes: number;
  budget_bytes: number;
  peak_bytes: number;
  workspace_bytes: number;
  expected_seconds: number;
  batch_size: number;
  device_batch: number;
  songs: number;
  audio_seconds: number;
  use_lm: boolean;
  lm_model: string | null;
  stages: PlanStage[];
  warnings?: Warning[];
}

export interface DryRun {
  request: Values;
  plan: Plan;
  seconds: number | null;
  basis: string;
  warnings: Warning[];
}

/** How well the language model would know the song's words by its codes, 0 … 1: on the whole, and one by one. */
export interface Score {
  global: number;
  conditions: Record<string, number>;
}

export interface Item {
  index: number;
  seed: number;
  seconds: number;
  audio: string;
  format: string;
  peaks?: string;
  sidecar?: string;
  latents?: string | null; // kept before decoding, where that was asked for
  lrc?: string | null;
  vtt?: string | null;
  lm_score?: Score | null;
  lyric_score?: { lm: number; dit: number } | null; // how clearly its lines are sung: from noise, and in the song
  codes?: string | null;
  caption?: string;
  lyrics?: string;
  bpm?: number;
  keyscale?: string;
  timesignature?: string;
  vocal_language?: string;
}

export interface Words {
  caption?: string;
  lyrics?: string;
  bpm?: number;
  duration?: number;
  keyscale?: string;
  timesignature?: string;
  vocal_language?: string;
  audio_codes?: string;
  lm_score?: Score | null;
}

/** A checkpoint that can be had. */
export interface StoreSet {
  name: string;
  kind: string;
  about: string;
  state: string;
  reason: string;
  bytes: number; // on disk
  size: number;
  recommended: boolean;
}

export interface Download {
  id: string;
  status: string;
  sets: string[] | null;
  progress: { set: string; fraction: number; bytes_per_second: number; eta_seconds: number | null; note: string } | null;
  error: { message: string; hint?: string | null } | null;
}

export interface Store {
  folder: string;
  free_bytes: number;
  ready: boolean; // what every song needs is there
  sets: StoreSet[];
  downloads: Download[];
}

export type JobStatus = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  kind: "song" | "sample" | "format" | "understand" | "encode" | "decode" | "score" | "lrc";
  status: JobStatus;
  created: number;
  started?: number | null;
  finished?: number | null;
  queue_position?: number | null;
  wait_seconds?: number | null;
  params: Values;
  request?: Values;
  title?: string;
  favourite: boolean;
  progress?: { stage: string; fraction: number; whole: number; eta_seconds?: number | null } | null;
  items?: Item[];
  words?: Words | Words[] | null;
  warnings?: Warning[];
  error?: { code: string; message: string; hint?: string } | null;
}

export interface Peaks {
  seconds: number;
  minimum: number[] | number[][];
  maximum: number[] | number[][];
}

/** A recording that a request can name: uploaded, or made here. */
export interface Sound {
  id: string;
  name: string;
  seconds: number;
  audio: string;
  peaks: string | number[]; // an address, or loudness 0 … 1 from start to end
  latents?: boolean; // a song that has kept them: a source without loss
  settings?: Values | null;
}

/** An upload as the server answers. */
export interface Uploaded extends Omit<Sound, "peaks"> {
  peaks: Peaks;
}

export type Right = "read" | "generate" | "admin";
