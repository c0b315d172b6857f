// What the tests share: a server of their own, a browser, and pages whose complaints are collected.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
export const program = process.env.ACESTEP_PROGRAM ?? join(root, "build/acestep");
export const shots = process.env.ACESTEP_SHOTS ?? join(tmpdir(), "acestep-page");
export const golden = join(root, "tests/golden"); // small models that take audio and have a language model
const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const axe = readFileSync(join(here, "node_modules/axe-core/axe.min.js"), "utf8");

mkdirSync(shots, { recursive: true });

export function temporary() {
  const folder = mkdtempSync(join(tmpdir(), "acestep-page-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A models folder with a language model of every size: only their names count here. */
export function modelsOfAllSizes() {
  const { folder, remove } = temporary();
  for (const name of ["Qwen3-Embedding-0.6B", "acestep-v15-turbo", "vae"]) symlinkSync(join(golden, name), join(folder, name));
  for (const size of ["0.6B", "1.7B", "4B"])
    symlinkSync(join(golden, "acestep-5Hz-lm-0.6B"), join(folder, `acestep-5Hz-lm-${size}`));
  return { folder, remove };
}

const running = new Set(); // what a failed test has left behind

/** Runs `acestep serve` on a free port, with a data folder that goes with it. */
export async function serve({ vram = 8, options = [], port = 0, data } = {}) {
  const own = data ? null : temporary();
  // models that somebody has downloaded are none of the tests'
  const environment = { ...process.env, MAX_CUDA_VRAM: String(vram), XDG_DATA_HOME: data ?? own.folder };
  for (const name of Object.keys(environment)) if (name.startsWith("ACESTEP_")) delete environment[name];
  const child = spawn(program, ["serve", "--port", String(port), "--data-dir", data ?? own.folder, "--grace", "0", ...options], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const address = await new Promise((resolveAddress, reject) => {
    const read = (piece) => {
      said += piece;
      const found = said.match(/http:\/\/127\.0\.0\.1:\d+/);
      if (found) resolveAddress(found[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
  });
  const stop = async () => {
    if (!running.delete(stop)) return;
    const ended = new Promise((done) => child.once("exit", done));
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await ended;
    }
    own?.remove();
  };
  running.add(stop);
  return { address, stop, ask: (path, init) => fetch(address + path, init) };
}

let browser;
export async function launch() {
  browser ??= await chromium.launch({ executablePath: chromiumPath, args: ["--headless", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"] });
  return browser;
}
export async function quit() {
  await browser?.close();
  browser = undefined;
  for (const stop of [...running]) await stop();
}

/** A page in a fresh profile. `complaints`: errors, refused styles or scripts, requests to elsewhere. */
export async function open(server, { theme = "light", locale = "en-US", width = 1280, height = 900, hash = "", ready = true } = {}) {
  const context = await (await launch()).newContext({ colorScheme: theme, locale, viewport: { width, height }, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  const complaints = [];
  page.complaints = complaints;
  page.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => complaints.push(`${error.message}\n${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(server.address) && !/^(blob|data):/.test(request.url())) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(`${server.address}/${hash}`);
  if (ready) await page.locator("main h1").waitFor();
  return page;
}

/** Ends a page; it must have had nothing to complain about. */
export async function done(page, expected = []) {
  const unexpected = page.complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
  await page.context().close();
  assert.deepEqual(unexpected, []);
}

/** No violations of the rules of axe. It injects a style itself, which the policy refuses: that is not the page's. */
export async function accessible(page, what) {
  const before = page.complaints.length;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  page.complaints.length = before;
  const covered = ({ any }) => any[0]?.message.includes("partially obscured"); // by a bar at the edge: it can be scrolled free
  for (const violation of violations) violation.nodes = violation.nodes.filter((node) => !covered(node));
  const found = violations.filter(({ nodes }) => nodes.length > 0).map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ")}`);
  assert.deepEqual(found, [], what);
}

export const shot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });

export async function mode(page, name) {
  await page.locator(`.modes label:has(input[value="${name}"])`).click(); // the input itself is not drawn
  await page.locator(`.modes input[value="${name}"]:checked`).waitFor({ state: "attached" });
}

export const make = (page) => page.locator("#make").click();

/** Opens a folded part of the form. */
export const unfold = (page, selector) => page.locator(selector).evaluate((details) => (details.open = true));

/** Types a number as a person does, and leaves the field. */
export async function typeNumber(page, label, value) {
  const field = page.getByLabel(label, { exact: true });
  await field.fill(String(value));
  await field.press("Enter");
  return field;
}

export async function newestSong(page) {
  const card = page.locator(".song.done").first();
  await card.waitFor({ timeout: 60000 });
  return card;
}

/** Decodes a song in the page, as any player would. */
export function decode(page, address) {
  return page.evaluate(async (from) => {
    const bytes = await (await fetch(from)).arrayBuffer();
    const audio = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(bytes);
    const samples = audio.getChannelData(0);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    return { seconds: audio.duration, channels: audio.numberOfChannels, rate: audio.sampleRate, level: Math.sqrt(sum / samples.length) };
  }, address);
}

/** A tone as a WAV file. */
export function tone(seconds) {
  const rate = 16000;
  const frames = Math.round(rate * seconds);
  const bytes = Buffer.alloc(44 + 2 * frames);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * frames, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * frames, 40);
  for (let i = 0; i < frames; i++) bytes.writeInt16LE(Math.round(9000 * Math.sin((2 * Math.PI * 330 * i) / rate)), 44 + 2 * i);
  return bytes;
}

/** Drops a file anywhere on the page. */
export async function drop(page, name, type, bytes, selector = "body") {
  const transfer = await page.evaluateHandle(
    ([fileName, fileType, base64]) => {
      const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([data], fileName, { type: fileType }));
      return transfer;
    },
    [name, type, Buffer.from(bytes).toString("base64")],
  );
  await page.dispatchEvent(selector, "dragover", { dataTransfer: transfer });
  await page.dispatchEvent(selector, "drop", { dataTransfer: transfer });
}

export async function fillIn(page, caption, seconds) {
  await mode(page, "custom");
  await page.locator("#field-caption").fill(caption);
  await typeNumber(page, "Length, number", seconds);
}

export const menuOf = (card) => card.getByRole("button", { name: /^More for/ });

export const jobsOf = async (server) => (await (await server.ask("/v1/jobs")).json()).jobs;

/** Removes everything, so that a test sees its own jobs alone. */
export async function empty(server) {
  for (const job of await jobsOf(server)) await server.ask(`/v1/jobs/${job.id}`, { method: "DELETE" });
}
