// What is found out about a song that is there, and what is made from it without sending anything again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, done, empty, golden, jobsOf, make, menuOf, newestSong, open, quit, serve, shot } from "./support.mjs";

const LYRICS = "[Verse]\nthe rain is on the window\nand the light is low\n\n[Chorus]\nhold on to the morning";
const TIMED = "[ti:rain]\n[00:00.50][Verse]\n[00:01.00]the rain is on the window\n[00:04.00]and the light is low\n[00:08.25]hold on to the morning\n";

let server; // small models: quick, and they hear
before(async () => (server = await serve({ options: ["--models", golden, "--precision", "f32"] })));
after(async () => {
  await quit();
  await server.stop();
});

/** A finished song, asked for beside the page. */
async function song(more) {
  const answer = await server.ask("/v1/jobs?wait=100", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ caption: "slow jazz", lyrics: LYRICS, duration: 12, seed: "7", thinking: "false", ...more }),
  });
  const job = await answer.json();
  assert.equal(job.status, "done", JSON.stringify(job.error));
  return job;
}

const entry = (page, name) => page.locator(".menu-list").getByText(name, { exact: true });

test("lyrics are timed, follow the music, are jumped to, and are saved", async () => {
  await empty(server);
  const job = await song();
  const page = await open(server);
  await page.route("**/items/0/lrc*", (route) => route.fulfill({ contentType: "text/plain", body: TIMED })); // small models hear nothing in particular
  const card = await newestSong(page);
  await card.locator(".round").click();
  await page.keyboard.press("l");
  const panel = page.getByRole("region", { name: "Lyrics" });
  await panel.locator("pre", { hasText: "the light is low" }).waitFor(); // without times they can be read
  await accessible(page, "lyrics without times");
  await panel.getByRole("button", { name: "Time the lyrics" }).click();

  const line = (text) => panel.locator(".sung button", { hasText: text });
  await line("and the light is low").waitFor();
  await page.locator(".player").getByRole("button", { name: "Pause" }).click();
  const wave = await page.locator(".player canvas").boundingBox();
  await page.mouse.click(wave.x + wave.width * 0.85, wave.y + wave.height / 2); // past it: only a jump leads back
  await line("and the light is low").click();
  const marked = (text) =>
    page.waitForFunction((wanted) => document.querySelector('.sung [aria-current="true"]')?.textContent.includes(wanted), text);
  await marked("and the light is low");
  assert.equal(await panel.locator("[aria-current]").count(), 1);
  const at = await page.locator(".player canvas").getAttribute("aria-valuenow");
  assert.ok(Number(at) >= 4 && Number(at) < 8, `jumped to ${at} s`);
  await shot(page, "lyrics");
  await accessible(page, "lyrics with times");
  await page.locator(".player canvas").press("End"); // the player leads, the line follows
  await marked("hold on to the morning");

  const saving = page.waitForEvent("download");
  await panel.getByRole("button", { name: ".lrc" }).click();
  assert.equal(readFileSync(await (await saving).path(), "utf8"), TIMED);

  await line("and the light is low").press("Escape"); // the focus goes back to where it was opened from
  await panel.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "lyrics-shown");
  await page.keyboard.press("Enter");
  await panel.waitFor();

  await page.reload(); // they are found again, and are not asked for twice
  await page.getByRole("button", { name: "Play slow jazz" }).click();
  await line("hold on to the morning").waitFor();
  await menuOf(page.locator(".song")).click();
  await entry(page, "Lyrics with times (LRC)").waitFor();
  assert.equal(await entry(page, "Time the lyrics").count(), 0);
  const listened = (await jobsOf(server)).filter((each) => each.kind === "lrc");
  assert.deepEqual(listened.map((each) => each.params.src_audio), [`${job.id}/0`]);

  await page.getByRole("button", { name: "Delete" }).click(); // the times go with the song
  await page.locator(".song").waitFor({ state: "detached" });
  assert.deepEqual(await jobsOf(server), []);
  await done(page);
});

test("a song is scored, word for word", async () => {
  await empty(server);
  await song({ thinking: "true" });
  const page = await open(server);
  await menuOf(await newestSong(page)).click();
  await entry(page, "Score it").click();
  const score = page.locator(".score");
  await score.locator("summary").click();
  const { words } = (await jobsOf(server)).find((each) => each.kind === "score");
  const shown = (share) => `${Math.round(share * 100)} %`;
  assert.equal(await score.locator("summary").textContent(), `Score ${shown(words.lm_score.global)}`);
  assert.equal(await score.locator("dl > div", { hasText: /^Lyrics/ }).locator("dd").textContent(), shown(words.lm_score.conditions.lyrics));
  assert.equal(await score.locator("dl > div").count(), Object.keys(words.lm_score.conditions).length);
  await accessible(page, "score");
  await done(page);
});

test("more like it: the song's codes and another seed, also after a reload", async () => {
  await empty(server);
  const first = await song({ thinking: "true", use_cot_metas: "true", batch_size: 2, seed: "7,8" });
  const page = await open(server);
  await menuOf((await newestSong(page)).locator('[data-item$="/1"]')).click();
  await entry(page, "Use its codes").waitFor(); // lists of jobs leave them out
  await entry(page, "More like this").click();
  await page.getByRole("status").filter({ hasText: "words and codes" }).waitFor();
  assert.equal(await page.locator("#field-audio_codes").inputValue(), first.items[1].codes);
  assert.equal(await page.locator("#field-seed").inputValue(), "");
  await make(page);
  await page.locator(".song.done").nth(1).waitFor();
  const [second] = await jobsOf(server);
  const { items } = await (await server.ask(`/v1/jobs/${second.id}`)).json();
  assert.equal(second.params.use_cot_metas, undefined); // nothing is planned again
  assert.equal(items.length, 1);
  assert.equal(items[0].seconds, first.items[1].seconds);
  assert.notEqual(items[0].seed, first.items[1].seed);
  await done(page);
});

test("a song is repainted where it lies, from its latents; its settings bring the recording back", async () => {
  await empty(server);
  const first = await song({ save_latents: true });
  const page = await open(server);
  await menuOf(await newestSong(page)).click();
  await entry(page, "Latents").waitFor();
  await entry(page, "Repaint a part").click();
  await page.getByText("Read from its latents").waitFor();
  await page.getByText("One region at a time").waitFor();
  await make(page);
  await page.locator(".song.done").nth(1).waitFor();
  const [second] = await jobsOf(server);
  assert.equal(second.params.task_type, "repaint");
  assert.equal(second.params.src_latents, `${first.id}/0`);
  assert.equal(second.params.src_audio, undefined);

  await page.getByRole("button", { name: /^Remove slow jazz/ }).click();
  await page.locator(".drop").first().waitFor();
  await menuOf(page.locator(".song").first()).click();
  await entry(page, "Reuse settings").click();
  await page.locator(".region-wave").waitFor(); // the recording is there again
  await make(page);
  await page.locator(".song.done").nth(2).waitFor();
  const [third] = await jobsOf(server);
  assert.equal(third.params.src_latents, `${first.id}/0`);
  await page.locator(".song").first().getByRole("button", { name: "Hear the original" }).click();
  await page.waitForFunction((id) => document.querySelector(`.item.here[data-item="${id}/0"]`), first.id);
  await done(page);
});
