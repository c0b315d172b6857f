// The page and its server: uploads, a server that goes, one with a key, its models.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  done, drop, fillIn, golden, make, mode, newestSong, open, quit, serve, shot, temporary, tone,
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
