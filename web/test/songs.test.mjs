// Songs from the page: made, heard, kept, changed, made again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import {
  decode, done, drop, golden, make, mode, newestSong, open, quit, serve, shot, temporary, tone, typeNumber, unfold,
} from "./support.mjs";

let server; // small models: quick
before(async () => (server = await serve({ options: ["--models", golden, "--thinking", "false"] })));
after(async () => {
  await quit();
  await server.stop();
});

async function fillIn(page, caption, seconds) {
  await mode(page, "custom");
  await page.locator("#field-caption").fill(caption);
  await typeNumber(page, "Length, number", seconds);
}

const menuOf = (card) => card.getByRole("button", { name: /^More for/ });
const jobsOf = async (from = server) => (await (await from.ask("/v1/jobs")).json()).jobs;

/** Removes everything, so that a test sees its own jobs alone. */
async function empty(from = server) {
  for (const job of await jobsOf(from)) await from.ask(`/v1/jobs/${job.id}`, { method: "DELETE" });
}

test("a song of the built-in model: made, played, decoded, downloaded", async () => {
  const demo = await serve();
  const page = await open(demo);
  assert.match(await page.locator("#mode-reasons").textContent(), /Simple.*It takes a language model/);
  await fillIn(page, "warm lo-fi, mellow keys", 10);
  await make(page);
  const card = await newestSong(page);
  assert.equal(await card.locator("h3").textContent(), "warm lo-fi, mellow keys");
  await page.getByRole("status").filter({ hasText: "is finished" }).waitFor();

  const [job] = await jobsOf(demo);
  const [item] = job.items;
  const heard = await decode(page, item.audio);
  assert.ok(Math.abs(heard.seconds - 10) < 0.05, `${heard.seconds} s`);
  assert.equal(heard.channels, 2);
  assert.equal(heard.rate, 48000);
  assert.ok(heard.level > 0.01, `level ${heard.level}`);

  await card.locator(".round").click();
  await page.waitForFunction(() => {
    const time = document.querySelector(".player .time");
    return time && time.textContent !== "0:00";
  });
  assert.match(await page.locator(".player-name").textContent(), /warm lo-fi/);
  await page.waitForFunction(() => {
    // the waveform is drawn, and has tall and short bars
    const canvas = document.querySelector(".song canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, 4).data;
    return data.some((value) => value > 0);
  });
  await shot(page, "song");

  await menuOf(card).click();
  const links = await card.locator(".formats a").evaluateAll((list) => list.map((each) => [each.textContent.trim(), each.href]));
  assert.ok(links.length >= 6);
  for (const [format, address] of links.filter(([name]) => ["wav16", "mp3", "flac"].includes(name))) {
    const answer = await fetch(address);
    assert.equal(answer.status, 200, format);
    assert.match(answer.headers.get("content-disposition"), /attachment/, format);
  }
  const again = await decode(page, links.find(([name]) => name === "mp3")[1]);
  assert.ok(again.level > 0.01 && Math.abs(again.seconds - 10) < 0.2);
  await done(page);
  await demo.stop();
});

test("a running job goes on after a reload, and can be cancelled; the form is still there", async () => {
  await empty();
  const page = await open(server);
  await fillIn(page, "a long one", 60);
  await page.locator("#field-lyrics").fill("[Verse]\nnot lost");
  await page.locator("#field-batch_size").fill("4");
  await page.locator("#field-batch_size").press("Enter");
  await make(page);
  await page.locator(".job.running .progress[aria-valuenow]").waitFor();
  await fillIn(page, "the next", 10);
  await make(page);
  await fillIn(page, "the one after", 10);
  await make(page);
  await page.locator(".job").nth(2).waitFor();

  await page.reload();
  const names = page.locator(".job strong");
  await page.waitForFunction(() => document.querySelectorAll(".job").length === 3);
  assert.deepEqual(await names.allTextContents(), ["a long one", "the next", "the one after"]);
  assert.equal(await page.locator("#field-caption").inputValue(), "the one after");
  assert.equal(await page.locator("#field-lyrics").inputValue(), "[Verse]\nnot lost");
  const progress = page.locator(".job.running .progress");
  const before = Number(await progress.getAttribute("aria-valuenow"));
  await page.waitForFunction((past) => Number(document.querySelector(".job.running .progress")?.getAttribute("aria-valuenow")) > past, before);

  await page.getByRole("button", { name: "Move the one after up" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".job strong")[1].textContent === "the one after");
  const other = await open(server); // another tab sees the same
  await other.waitForFunction(() => document.querySelectorAll(".job strong")[1]?.textContent === "the one after");
  await page.locator(".job", { hasText: "the next" }).getByRole("button", { name: "Cancel" }).click();
  await other.waitForFunction(() => document.querySelectorAll(".job").length === 2);
  await shot(page, "queue");
  await page.locator(".job.running").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("status").filter({ hasText: "“a long one” was cancelled" }).waitFor();
  const card = await newestSong(page);
  assert.equal(await card.locator("h3").textContent(), "the one after");
  const states = Object.fromEntries((await jobsOf()).map((job) => [job.params.caption, job.status]));
  assert.deepEqual(states, { "a long one": "cancelled", "the next": "cancelled", "the one after": "done" });
  await done(other);
  await done(page);
});

test("the library: favourites, names, search, settings again, removal", async () => {
  await empty();
  const page = await open(server);
  for (const caption of ["red sun", "blue moon"]) {
    await fillIn(page, caption, 10);
    await make(page);
  }
  await page.waitForFunction(() => document.querySelectorAll(".song.done").length === 2, undefined, { timeout: 60000 });
  await page.getByRole("link", { name: /Library/ }).click();
  const cards = page.locator(".song");
  await page.locator(".songs.large .song").nth(1).waitFor();
  await page.getByRole("button", { name: "Favourite: red sun" }).click();
  await page.locator(".segments label", { hasText: "Favourites" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".song").length === 1);
  await menuOf(cards.first()).click();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByLabel("New name").fill("evening <b>sun</b>");
  await page.keyboard.press("Enter");
  await page.locator("h3", { hasText: "evening <b>sun</b>" }).waitFor(); // text, never markup
  await page.locator(".segments label", { hasText: "All" }).click();
  await page.getByRole("searchbox").fill("evening");
  await page.waitForFunction(() => document.querySelectorAll(".song").length === 1);
  await page.getByRole("searchbox").fill("");
  await page.waitForFunction(() => document.querySelectorAll(".song").length === 2);
  await shot(page, "library");

  const moon = page.locator(".song", { hasText: "blue moon" });
  const job = (await jobsOf()).find((each) => each.params.caption === "blue moon");
  await menuOf(moon).click();
  await page.getByRole("button", { name: "Reuse settings" }).click();
  assert.equal(await page.locator("#field-caption").inputValue(), "blue moon");
  assert.equal(await page.locator("#field-seed").inputValue(), String(job.items[0].seed));

  await page.getByRole("link", { name: /Library/ }).click();
  await menuOf(moon).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await moon.waitFor({ state: "detached" });
  assert.equal((await server.ask(`/v1/jobs/${job.id}`)).status, 404);
  await done(page);
});

test("a song dropped on the page brings its settings; so does a file of settings, and a preset", async () => {
  await empty();
  const page = await open(server);
  await fillIn(page, "carried in the file", 10);
  await page.locator("#field-seed").fill("4711");
  await make(page);
  await newestSong(page);
  const [job] = await jobsOf();
  const bytes = new Uint8Array(await (await server.ask(job.items[0].audio)).arrayBuffer());

  const clean = await open(server);
  await mode(clean, "custom");
  await drop(clean, "found.flac", "audio/flac", bytes);
  await clean.getByRole("button", { name: "Restore its settings" }).click();
  assert.equal(await clean.locator("#field-caption").inputValue(), "carried in the file");
  assert.equal(await clean.locator("#field-seed").inputValue(), "4711");
  assert.equal(await clean.getByLabel("Length, number").inputValue(), "10");
  await make(clean); // and makes the same song
  await clean.waitForFunction(() => document.querySelectorAll(".song.done").length === 2, undefined, { timeout: 60000 });
  const [twin] = await jobsOf();
  const peaks = async (each) => (await (await server.ask(each.items[0].peaks)).json()).maximum;
  assert.deepEqual(await peaks(twin), await peaks(job));

  await drop(clean, "settings.json", "application/json", JSON.stringify({ task_type: "text2music", caption: "from a file", bpm: 90 }));
  await clean.waitForFunction(() => document.querySelector("#field-caption").value === "from a file");
  await drop(clean, "notes.txt", "text/plain", "hello");
  await clean.getByRole("alert").filter({ hasText: "notes.txt is neither audio nor settings" }).waitFor();
  await clean.getByRole("button", { name: "Dismiss" }).last().click();

  const presets = clean.getByRole("button", { name: "Presets" });
  await presets.click();
  await clean.getByRole("button", { name: /Save or delete presets/ }).click();
  await clean.getByLabel("Save these settings as").fill("Slow & blue");
  await clean.keyboard.press("Enter");
  await clean.getByRole("status").filter({ hasText: "saved" }).waitFor();
  await presets.click();
  await clean.getByRole("button", { name: "Start afresh" }).click();
  assert.equal(await clean.locator("#field-caption").inputValue(), "");
  await clean.reload(); // it is the server that keeps it
  await presets.click();
  await clean.getByRole("button", { name: "Slow & blue" }).click();
  await clean.waitForFunction(() => document.querySelector("#field-caption").value === "from a file");
  await presets.click();
  const saving = clean.waitForEvent("download");
  await clean.getByRole("button", { name: "Save as a file" }).click();
  const saved = JSON.parse(readFileSync(await (await saving).path(), "utf8"));
  assert.deepEqual(saved, { task_type: "text2music", caption: "from a file", bpm: 90 });
  await presets.click();
  await clean.getByRole("button", { name: /Save or delete presets/ }).click();
  await clean.getByRole("button", { name: "Delete Slow & blue" }).click();
  await clean.getByRole("button", { name: "Delete Slow & blue" }).waitFor({ state: "detached" });
  assert.deepEqual((await (await server.ask("/v1/presets")).json()).presets, []);
  await done(clean);
  await done(page);
});

test("with a language model: words from a sentence, and a song from them", async () => {
  const small = await serve({ options: ["--models", golden, "--precision", "f32"] });
  try {
    const page = await open(small);
    await page.locator("#field-sample_query").fill("a german song");
    await page.getByRole("button", { name: "Write the words first" }).click();
    await page.getByRole("button", { name: "Go on with this" }).click({ timeout: 60000 });
    assert.notEqual(await page.locator("#field-caption").inputValue(), "");
    await mode(page, "simple");
    await page.locator("#field-sample_query").fill("a song about rain");
    await typeNumber(page, "Length, number", 10);
    await make(page);
    const card = await newestSong(page);
    assert.equal(await card.locator("h3").textContent(), "a song about rain");
    const [job] = await jobsOf(small);
    assert.equal(job.params.sample_query, "a song about rain");
    await done(page);
  } finally {
    await small.stop();
  }
});

test("repaint: the part that is dragged is the part that is made", async () => {
  await empty();
  const page = await open(server);
  await mode(page, "repaint");
  await make(page); // nothing to work on yet
  await page.locator("#field-src_audio-fault").filter({ hasText: "Recording is needed" }).waitFor();
  await page.locator('input[data-field="src_audio"]').setInputFiles({ name: "tone.wav", mimeType: "audio/wav", buffer: tone(10) });
  const wave = page.locator(".region-wave");
  await wave.waitFor();
  await wave.scrollIntoViewIfNeeded();
  const box = await wave.boundingBox();
  const first = -2; // s: the room on both sides
  const at = (seconds) => box.x + ((seconds - first) / 14) * box.width;
  await page.mouse.move(at(3), box.y + 60);
  await page.mouse.down();
  await page.mouse.move(at(5), box.y + 60, { steps: 4 });
  await page.mouse.move(at(6.5), box.y + 60, { steps: 4 });
  await page.mouse.up();
  const from = page.getByLabel("From second");
  const to = page.getByLabel("To second");
  const near = (field, seconds) =>
    field.evaluate(async (input, wanted) => {
      for (let tries = 0; tries < 100; tries++) {
        if (Math.abs(Number(input.value) - wanted) <= 0.15) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${input.value} instead of ${wanted}`);
    }, seconds);
  await near(from, 3);
  await near(to, 6.5);
  // with the keys: a tenth of a second, or a whole one
  const start = page.getByRole("slider", { name: "Start of the region" });
  await start.press("ArrowRight");
  await start.press("Shift+ArrowLeft");
  await near(from, 2.1);
  // typed: the picture follows
  await from.fill("2");
  await from.press("Enter");
  await to.fill("12"); // beyond the end: the song grows
  await to.press("Enter");
  await page.locator(".region-words", { hasText: "grows by 2 s" }).waitFor();
  await to.fill("6");
  await to.press("Enter");
  await page.waitForFunction(() => document.querySelector('[aria-label="End of the region"]').getAttribute("aria-valuenow") === "6");
  // moved as a whole
  const mark = await page.locator(".region-mark").boundingBox();
  await page.mouse.move(mark.x + mark.width / 2, mark.y + 60);
  await page.mouse.down();
  await page.mouse.move(mark.x + mark.width / 2 + box.width / 14, mark.y + 60, { steps: 4 });
  await page.mouse.up();
  await near(from, 3);
  await near(to, 7);
  const [a, b] = [Number(await from.inputValue()), Number(await to.inputValue())];
  await page.locator("#field-caption").fill("with a saxophone");
  await shot(page, "repaint");
  await make(page);
  await newestSong(page);
  const [job] = await jobsOf();
  assert.equal(job.params.task_type, "repaint");
  assert.deepEqual([job.params.repainting_start, job.params.repainting_end], [a, b]);
  const heard = await decode(page, job.items[0].audio);
  assert.ok(Math.abs(heard.seconds - 10) < 0.1 && heard.level > 0.001, JSON.stringify(heard));
  // and on from there
  const card = page.locator(".song").first();
  await menuOf(card).click();
  await page.getByRole("button", { name: "Remix it" }).click();
  await page.locator(".sound-name", { hasText: "with a saxophone" }).waitFor();
  await page.locator("#field-audio_cover_strength").waitFor();
  await done(page);
});

test("modes of a base model: extract takes one track, complete several", async () => {
  const base = await serve({ options: ["--models", golden, "--model", "base", "--exec", "shape"] });
  try {
    const page = await open(base);
    await page.waitForFunction(() => [...document.querySelectorAll(".modes input")].every((each) => !each.disabled));
    await mode(page, "complete");
    await page.locator('input[data-field="src_audio"]').setInputFiles({ name: "tone.wav", mimeType: "audio/wav", buffer: tone(6) });
    await page.getByLabel("Drums").check();
    await page.getByLabel("Bass").check();
    const asked = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/v1/jobs"));
    await make(page);
    const body = (await asked).postDataJSON();
    assert.equal(body.task_type, "complete");
    assert.deepEqual(body.track_classes.split(",").sort(), ["bass", "drums"]);
    await mode(page, "extract");
    await make(page);
    await page.locator("#field-track_name-fault").waitFor();
    await page.locator("#field-track_name").selectOption("drums");
    const second = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/v1/jobs"));
    await make(page);
    const extract = (await second).postDataJSON();
    assert.equal(extract.task_type, "extract");
    assert.equal(extract.track_name, "drums");
    assert.ok(!("track_classes" in extract) && !("caption" in extract), "only what the mode asks for is sent");
    await done(page);
  } finally {
    await base.stop();
  }
});

test("an upload shows its progress and can be cancelled", async () => {
  const page = await open(server);
  await page.route("**/v1/uploads", () => undefined); // a server that never answers
  await drop(page, "slow.wav", "audio/wav", tone(2));
  const notice = page.locator(".notice.upload", { hasText: "slow.wav" });
  await notice.getByRole("progressbar").waitFor();
  await notice.getByRole("button", { name: "Cancel" }).click();
  await notice.waitFor({ state: "detached" });
  await done(page);
});

test("the server goes away and comes back; what was typed stays", async () => {
  const data = temporary();
  let first = await serve({ data: data.folder });
  const port = new URL(first.address).port;
  const page = await open(first);
  try {
    await mode(page, "custom");
    await page.locator("#field-caption").fill("do not lose me");
    await first.stop();
    await page.locator(".connection.lost").waitFor();
    await make(page);
    await page.getByRole("alert").filter({ hasText: "cannot be reached" }).waitFor();
    await shot(page, "away");
    first = await serve({ data: data.folder, port });
    await page.getByRole("button", { name: "Try now" }).click();
    await page.locator(".connection.online").waitFor({ state: "attached" });
    assert.equal(await page.locator("#field-caption").inputValue(), "do not lose me");
    await done(page, [/ERR_/, /Failed to load/]);
  } finally {
    await first.stop();
    data.remove();
  }
});

test("a server with a key asks for it", async () => {
  const locked = await serve({ options: ["--api-key", "sesame", "--models", golden, "--thinking", "false"] });
  try {
    const page = await open(locked, { ready: false });
    await page.locator("#key").fill("wrong");
    await page.keyboard.press("Enter");
    await page.locator(".connection.locked").waitFor();
    await page.locator("#key").fill("sesame");
    await page.keyboard.press("Enter");
    await page.locator(".modes").waitFor();
    await fillIn(page, "behind a lock", 10);
    await make(page);
    const card = await newestSong(page);
    await card.locator(".round").click(); // players cannot send a key: the address is signed
    await page.waitForFunction(() => (document.querySelector(".player .time")?.textContent ?? "0:00") !== "0:00");
    await done(page, [/401/]);
  } finally {
    await locked.stop();
  }
});

test("models are loaded and leave memory again from the page", async () => {
  const page = await open(server, { hash: "#/models" });
  const free = page.getByRole("button", { name: "Free its memory" });
  const load = page.getByRole("button", { name: "Load now" });
  await free.or(load).waitFor();
  if (await free.isVisible()) await free.click();
  await load.click();
  await free.click();
  await load.waitFor();
  await done(page);
});
