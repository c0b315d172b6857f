// Songs from the page: made, heard, kept, changed, made again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import {
  decode, done, drop, empty, fillIn, golden, jobsOf, make, menuOf, mode, newestSong, open, quit, serve, shot, unfold,
} from "./support.mjs";

let server; // small models: quick
before(async () => (server = await serve({ options: ["--models", golden, "--thinking", "false"] })));
after(async () => {
  await quit();
  await server.stop();
});

test("a song of the built-in model: made, played, decoded, downloaded", async () => {
  const demo = await serve();
  const page = await open(demo);
  assert.match(await page.locator("#mode-reasons").textContent(), /Simple.*It takes a language model/);
  await page.locator("#demo").getByRole("button", { name: /^Get the real ones \([\d.]+ GB\)$/ }).click();
  await page.getByRole("button", { name: "Download them" }).waitFor();
  await page.goto(`${demo.address}/#/create`);
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
  const elsewhere = await page.evaluate(() => [document.title, navigator.mediaSession.metadata.title, navigator.mediaSession.playbackState]);
  assert.deepEqual(elsewhere, ["▶ warm lo-fi, mellow keys · acestep", "warm lo-fi, mellow keys", "playing"]);
  await page.waitForFunction(() => {
    // the waveform is drawn, and has tall and short bars
    const canvas = document.querySelector(".song canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, 4).data;
    return data.some((value) => value > 0);
  });
  await shot(page, "song");

  await menuOf(card).click();
  await card.locator(".formats a").first().waitFor();
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
  await empty(server);
  const page = await open(server);
  await fillIn(page, "a long one", 60);
  await page.locator("#field-lyrics").fill("[Verse]\nnot lost");
  await page.locator("#field-batch_size").fill("4");
  await page.locator("#field-batch_size").press("Enter");
  await make(page);
  await page.locator(".job.running .progress[aria-valuenow]").waitFor();
  await page.waitForFunction(() => /^\d+ % · acestep$/.test(document.title)); // seen from another tab
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
  const states = Object.fromEntries((await jobsOf(server)).map((job) => [job.params.caption, job.status]));
  assert.deepEqual(states, { "a long one": "cancelled", "the next": "cancelled", "the one after": "done" });
  await done(other);
  await done(page);
});

test("the library: favourites, names, search, settings again, removal", async () => {
  await empty(server);
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
  const job = (await jobsOf(server)).find((each) => each.params.caption === "blue moon");
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
  await empty(server);
  const page = await open(server);
  await fillIn(page, "carried in the file", 10);
  await page.locator("#field-seed").fill("4711");
  await make(page);
  await newestSong(page);
  const [job] = await jobsOf(server);
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
  const [twin] = await jobsOf(server);
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

test("a browser without Ogg hears a song in another format", async () => {
  await empty(server);
  const page = await open(server);
  await page.addInitScript(() => {
    const knows = HTMLMediaElement.prototype.canPlayType;
    HTMLMediaElement.prototype.canPlayType = function (type) {
      return type.startsWith("audio/ogg") ? "" : knows.call(this, type);
    };
  });
  await page.reload();
  await fillIn(page, "for every ear", 10);
  await unfold(page, "#group-output");
  await page.locator("#field-audio_format").selectOption("opus");
  await make(page);
  const card = await newestSong(page);
  const asked = page.waitForRequest(/items\/0\/audio/);
  await card.locator(".round").click();
  assert.match((await asked).url(), /format=flac$/);
  await page.waitForFunction(() => (document.querySelector(".player .time")?.textContent ?? "0:00") !== "0:00");
  await done(page);
});
