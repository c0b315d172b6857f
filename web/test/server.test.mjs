// The page and its server: uploads, a server that goes, one with a key, its models.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  accessible, done, drop, fillIn, golden, make, mode, newestSong, open, quit, serve, shot, temporary, tone,
} from "./support.mjs";

let server; // small models: quick
before(async () => (server = await serve({ options: ["--models", golden, "--thinking", "false"] })));
after(async () => {
  await quit();
  await server.stop();
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
    // before the server is back: the page also tries by itself, and the button would go with that
    const again = page.waitForRequest("**/v1/events");
    await page.getByRole("button", { name: "Try now" }).click();
    await again;
    first = await serve({ data: data.folder, port });
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

test("a card that fails: what happened is said, and it can be opened again", async () => {
  const health = { name: "cuda", state: "ok", cause: null, problem: null, losses: 0, reopened: 0 };
  let card = health;
  const page = await open(server);
  assert.deepEqual(Object.keys((await (await server.ask("/health")).json()).device).sort(), Object.keys(health).sort());
  assert.equal(await page.locator(".device-bar").count(), 0);
  await page.route("**/health", (route) => route.fulfill({ json: { device: card } }));
  let asked = 0;
  await page.route("**/v1/device/reopen", async (route) => {
    asked++;
    card = { ...card, state: asked === 1 ? "fallback" : "ok", problem: asked === 1 ? "no device is there" : null };
    await route.fulfill({ status: 202, json: { device: card } });
  });
  const event = () => server.ask("/v1/models/unload", { method: "POST", body: "{}" }); // the engine tells of itself
  const load = () => server.ask("/v1/models/load", { method: "POST", body: "{}" });

  card = { ...health, state: "lost", cause: "an illegal memory access was encountered", losses: 1 };
  await load();
  const bar = page.locator(".device-bar");
  await bar.getByText("The graphics card has failed.").waitFor();
  await bar.getByText("an illegal memory access was encountered").waitFor();
  await accessible(page, "a lost card");
  await shot(page, "card-lost");
  await bar.getByRole("button", { name: "Open it again" }).click();
  await bar.getByRole("button", { name: "Opening", exact: false }).waitFor();
  await event();
  await bar.getByText("cannot be opened").waitFor();
  await bar.getByText("no device is there").waitFor();
  await bar.getByRole("button", { name: "Open it again" }).click();
  await load();
  await page.getByRole("status").filter({ hasText: "The graphics card is back." }).waitFor();
  assert.equal(await bar.count(), 0);
  assert.equal(asked, 2);
  await done(page);
});

test("the page offers what the key may do, and shows the log to whoever may see it", async () => {
  const data = temporary();
  const keys = join(data.folder, "keys");
  writeFileSync(keys, "look read\nmake read,generate\nown\n");
  const shared = await serve({ options: ["--api-key-file", keys, "--models", golden, "--thinking", "false"] });
  const enter = async (key, hash) => {
    const page = await open(shared, { ready: false, hash });
    await page.locator("#key").fill(key);
    await page.keyboard.press("Enter");
    await page.locator(".connection.online").waitFor({ state: "attached" });
    await page.locator("h1").waitFor();
    return page;
  };
  const offers = (page, name) => page.getByRole("button", { name }).count();
  try {
    const looks = await enter("look", "");
    await looks.getByText("it makes none").waitFor();
    assert.ok(await looks.locator("#make").isDisabled());
    await done(looks, [/401/, /403/]);

    const makes = await enter("make", "");
    await fillIn(makes, "of a guest", 10);
    await make(makes);
    await newestSong(makes);
    assert.equal(await offers(makes, "Use acestep-v15-base"), 0);
    await makes.goto(`${shared.address}/#/models`);
    await makes.locator(".set").first().waitFor();
    assert.equal(await offers(makes, /^(Download|Use it|Load now|Free its memory)/), 0);
    await makes.goto(`${shared.address}/#/system`);
    await makes.locator("#tiers").waitFor();
    assert.equal(await makes.locator("#log").count(), 0);
    await done(makes, [/401/]);

    const owns = await enter("own", "#/system");
    await owns.locator("#log summary").click();
    await owns.locator(".log li", { hasText: "/v1/jobs" }).first().waitFor();
    const before = await owns.locator(".log li").count();
    await shared.ask("/health");
    await owns.waitForFunction((n) => document.querySelectorAll(".log li").length > n, before); // as it is written
    await accessible(owns, "log");
    await owns.locator("#log summary").click();
    await owns.locator(".log").waitFor({ state: "detached" });
    await owns.goto(`${shared.address}/#/models`);
    await owns.getByRole("button", { name: "Use it acestep-v15-base" }).waitFor();
    await done(owns, [/401/]);
  } finally {
    await shared.stop();
    data.remove();
  }
});
