// Modes beside Custom: from a sentence, from recordings, with a region.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  decode, done, empty, golden, jobsOf, make, menuOf, mode, newestSong, open, quit, serve, shot, tone, typeNumber,
} from "./support.mjs";

let server; // small models: quick
before(async () => (server = await serve({ options: ["--models", golden, "--thinking", "false"] })));
after(async () => {
  await quit();
  await server.stop();
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
  await empty(server);
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
  // a click plays from there; a key begins the region where the player is
  await page.mouse.click(at(4), box.y + 60);
  await page.waitForFunction(() => /^0:0[4-7]$/.test(document.querySelector(".player .time")?.textContent ?? ""));
  await page.keyboard.press("[");
  await page.waitForFunction(() => {
    const start = Number(document.querySelector('[aria-label="Start of the region"]').getAttribute("aria-valuenow"));
    return start >= 3.8 && start <= 8;
  });
  await page.getByRole("button", { name: "Close the player" }).click();
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
  // typed and entered before anything could be drawn
  await to.evaluate((input) => {
    input.value = "7";
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  });
  await near(to, 7);
  await page.waitForFunction(() => document.querySelector('[aria-label="End of the region"]').getAttribute("aria-valuenow") === "7");
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
  const [job] = await jobsOf(server);
  assert.equal(job.params.task_type, "repaint");
  assert.deepEqual([job.params.repainting_start, job.params.repainting_end], [a, b]);
  const heard = await decode(page, job.items[0].audio);
  assert.ok(Math.abs(heard.seconds - 10) < 0.1 && heard.level > 0.001, JSON.stringify(heard));
  // beside what it was made from, at the same place
  await page.locator(".song .round").first().click();
  await page.locator(".player-name", { hasText: "with a saxophone" }).waitFor();
  await page.getByRole("slider", { name: "Position" }).press("ArrowRight");
  await page.getByRole("button", { name: "Hear the original" }).click();
  await page.locator(".player-name", { hasText: "tone.wav" }).waitFor();
  assert.ok(Number(await page.getByRole("slider", { name: "Position" }).getAttribute("aria-valuenow")) >= 4);
  await page.getByRole("button", { name: "Hear the song" }).click();
  await page.locator(".player-name", { hasText: "with a saxophone" }).waitFor();
  await page.getByRole("button", { name: "Close the player" }).click();
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

test("what takes a base model: one that is there is used, for all songs", async () => {
  const small = await serve({ options: ["--models", golden, "--thinking", "false"] });
  try {
    const page = await open(small);
    assert.ok(await page.locator('.modes input[value="extract"]').isDisabled());
    await page.getByRole("button", { name: "Use acestep-v15-base" }).click();
    await page.waitForFunction(() => !document.querySelector('.modes input[value="extract"]').disabled);
    assert.equal((await (await small.ask("/v1/system")).json()).models.dit, "acestep-v15-base");
    await page.goto(`${small.address}/#/models`);
    await page.getByRole("button", { name: "Use it acestep-v15-turbo" }).click();
    await page.getByRole("button", { name: "Use it acestep-v15-base" }).waitFor();
    assert.equal((await (await small.ask("/v1/system")).json()).models.dit, "acestep-v15-turbo");

    await page.goto(`${small.address}/#/create`); // for one song alone
    await mode(page, "custom");
    await page.locator("#field-caption").fill("by another model");
    await page.locator("#engine").evaluate((details) => (details.open = true));
    await page.locator("#field-model").selectOption("acestep-v15-base");
    await typeNumber(page, "Length, number", 10);
    await make(page);
    await newestSong(page);
    const [job] = await jobsOf(small);
    assert.equal(job.params.model, "acestep-v15-base");
    assert.equal((await (await small.ask("/v1/system")).json()).models.dit, "acestep-v15-turbo");
    await done(page);
  } finally {
    await small.stop();
  }
});
