// Parts of the page that need no browser: texts, the reader of events, the figures of the picture, lyrics, commands.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "../node_modules/esbuild/lib/main.js";
import { program, temporary } from "./support.mjs";

const source = join(dirname(fileURLToPath(import.meta.url)), "../src");

async function load(path) {
  const { outputFiles } = await build({
    entryPoints: [join(source, path)],
    bundle: true,
    format: "esm",
    write: false,
    define: { LANGUAGES: "[]" },
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

test("every language has all texts, with the same holes, and none that nobody knows", () => {
  const folder = join(source, "text");
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const english = read("en.json");
  const holes = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const file of readdirSync(folder)) {
    const texts = read(file);
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(english).sort(), file);
    for (const key of Object.keys(english)) {
      assert.deepEqual(holes(texts[key]), holes(english[key]), `${file}: ${key}`);
      if (english[key] !== "") assert.notEqual(texts[key].trim(), "", `${file}: ${key}`);
    }
  }
});

test("events are read however the stream is cut", async () => {
  const { EventReader } = await load("api/events.ts");
  const stream = ': waiting\n\nid: 7\nevent: progress\ndata: {"id":"j_1",\ndata: "whole":0.5}\n\nid: 8\r\nevent: done\r\ndata: {}\r\n\r\nevent: broken\ndata: {\n\n';
  const expected = [
    { id: "7", name: "progress", data: { id: "j_1", whole: 0.5 } },
    { id: "8", name: "done", data: {} },
  ];
  for (const size of [1, 2, 3, 7, 1000]) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...reader.read(stream.slice(at, at + size)));
    assert.deepEqual(found, expected, `pieces of ${size}`);
  }
});

test("a bar is as long as its stage's bytes, and the limit is shown when it is near", async () => {
  const { barsOf } = await load("parts/planBars.ts");
  const stage = (name, peak, work, components) => ({ name, stage: name, peak_bytes: peak, work_bytes: work, components, bytes: {}, load_seconds: 1, compute_seconds: 2 });
  const plan = {
    cap_bytes: 4000,
    workspace_bytes: 10,
    stages: [stage("load", 0, 0, {}), stage("lm", 1000, 400, { LM: 900 }), stage("diffusion", 2000, 400, { DD: 1500, XX: 50 })],
  };
  const { bars, bands, cap, capShown, scale } = barsOf(plan);
  assert.deepEqual(bars.map((bar) => [bar.stage, bar.total, bar.seconds]), [["lm", 1010, 3], ["diffusion", 2010, 3]]);
  assert.deepEqual(bands, ["LM", "DD", "work", "other", "device"]);
  assert.deepEqual(bars[1].parts, [
    { band: "DD", bytes: 1500, before: 0 },
    { band: "work", bytes: 400, before: 1500 },
    { band: "other", bytes: 100, before: 1900 },
    { band: "device", bytes: 10, before: 2000 },
  ]);
  assert.equal(cap, 4000);
  assert.ok(capShown && scale > 4000);
  const far = barsOf({ ...plan, cap_bytes: 1e6 });
  assert.ok(!far.capShown && far.scale < 3000 && far.cap === 1e6);
});

test("peaks of any number of channels become one outline", async () => {
  const { outline, shortOutline } = await load("api/peaks.ts");
  assert.deepEqual([...outline({ seconds: 1, minimum: [-0.5, 0], maximum: [0.25, 0.75] })], [0.5, 0.75]);
  assert.deepEqual([...outline({ seconds: 1, minimum: [[-0.5, 0], [0, -1]], maximum: [[0, 0.25], [0.25, 0]] })], [0.5, 1]);
  assert.deepEqual(shortOutline({ seconds: 1, minimum: [0, 0, 0, 0, 0], maximum: [0.1, 0.2, 0.3, 0.9, 0.4] }, 2), [0.3, 0.9]);
});

test("lyrics with times are read, whatever else stands in the file", async () => {
  const { readLrc, lineAt, isSection } = await load("state/lrc.ts");
  const lines = readLrc("\uFEFF[ti:a song]\r\n[00:10.50][01:02.5]again\r\n[00:01.00][Verse]\r\n[00:02:25] old style\r\nno time\r\n[00:03.00]\r\n[00:04]whole");
  assert.deepEqual(lines, [
    { at: 1, text: "[Verse]" },
    { at: 2.25, text: "old style" },
    { at: 4, text: "whole" },
    { at: 10.5, text: "again" },
    { at: 62.5, text: "again" },
  ]);
  assert.deepEqual([0, 1, 2.2, 2.25, 62.4, 99].map((at) => lineAt(lines, at)), [-1, 0, 0, 1, 3, 4]);
  assert.equal(lineAt([], 3), -1);
  assert.ok(isSection("[Chorus]") && !isSection("[whispered] come"));
});

test("adapters have a colour of their own in the forecast", async () => {
  const { barsOf } = await load("parts/planBars.ts");
  const stage = { name: "diffusion", stage: "diffusion", peak_bytes: 100, work_bytes: 10, components: { DD: 60, LORA: 30 }, bytes: {}, load_seconds: 0, compute_seconds: 0 };
  const { bars, bands } = barsOf({ cap_bytes: 0, workspace_bytes: 0, stages: [stage] });
  assert.deepEqual(bands, ["DD", "AD", "work"]);
  assert.deepEqual(bars[0].parts.map(({ band, bytes }) => [band, bytes]), [["DD", 60], ["AD", 30], ["work", 10]]);
});

test("the form as a command: a shell and the program understand it as it was meant", async () => {
  const { commandOf } = await load("state/command.ts");
  const asked = { task_type: "text2music", caption: "it's \"fine\", $HOME `x`\nand more", instrumental: true, duration: 10, bpm: 90 };
  const folder = temporary();
  try {
    const sidecar = join(folder.folder, "song.json");
    const command = `${commandOf(asked).replace("acestep", program)} --inference-steps 1 --output ${join(folder.folder, "song.flac")} --quiet`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8", env: { ...process.env, XDG_DATA_HOME: folder.folder } });
    assert.equal(status, 0, stderr);
    const made = JSON.parse(readFileSync(sidecar, "utf8"));
    for (const name of Object.keys(asked)) assert.equal(made[name], asked[name], name);
  } finally {
    folder.remove();
  }
});
