// How the page looks and listens: rules of accessibility in both themes and languages, narrow screens, keys alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, done, golden, make, mode, newestSong, open, quit, serve, shot, tone, typeNumber } from "./support.mjs";

let server;
before(async () => {
  server = await serve({ options: ["--models", golden, "--thinking", "false"] });
  const page = await open(server);
  await mode(page, "custom");
  await page.locator("#field-caption").fill("slow jazz ballad, upright bass, brushed drums, a smoky tenor saxophone");
  await page.locator("#field-lyrics").fill("[Verse]\nthe rain is on the window");
  await typeNumber(page, "Length, number", 10);
  await make(page);
  await newestSong(page);
  await done(page);
});
after(async () => {
  await quit();
  await server.stop();
});

const SCREENS = ["create", "library", "models", "system"];

const unfoldAll = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));

for (const [theme, locale] of [["light", "en-US"], ["dark", "de-DE"]]) {
  test(`every screen, ${theme}, ${locale}`, async () => {
    const page = await open(server, { theme, locale });
    for (const screen of SCREENS) {
      await page.goto(`${server.address}/#/${screen}`);
      if (screen === "library" || screen === "create") await page.locator(".song.done").first().waitFor();
      await shot(page, `${screen}-${theme}`);
      if (screen === "models") await page.locator(".set").first().waitFor();
      if (theme === "light") await unfoldAll(page);
      await accessible(page, `${screen} ${theme}`);
    }
    await page.goto(`${server.address}/#/create`);
    for (const name of theme === "light" ? ["repaint"] : ["custom", "cover", "repaint"]) {
      await mode(page, name);
      if (name === "repaint")
        await page.locator('input[data-field="src_audio"]').setInputFiles({ name: "tone.wav", mimeType: "audio/wav", buffer: tone(5) });
      if (name === "repaint") await page.locator(".region-wave").waitFor();
      await accessible(page, `${name} ${theme}`);
    }
    await page.locator(".song .round").first().click();
    await page.locator(".song").first().getByRole("button", { expanded: false }).last().click();
    await accessible(page, `menu and player ${theme}`);
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("?");
    await page.locator("dialog[open]").waitFor();
    await accessible(page, `help ${theme}`);
    await shot(page, `help-${theme}`);
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await done(page);
  });
}

test("German: the browser's language, and a change of it", async () => {
  const page = await open(server, { locale: "de-AT" });
  await page.getByRole("heading", { name: "Einen Song erschaffen" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  assert.match(await page.locator("#make").textContent(), /Song machen/);
  // nothing that the page itself says is left in English: every text node of the form is in the German file, or
  // comes from the server, which is marked as English
  const german = Object.values(await (await server.ask("/de.json")).json());
  const english = await page.evaluate(() => [...document.querySelectorAll("h1, h2, label, legend, button, summary")].map((each) => each.textContent.trim()));
  for (const phrase of ["Make song", "Lyrics", "Length", "Presets", "Queue", "Forecast", "New songs", "Engine", "Sampling rate"])
    assert.ok(!english.includes(phrase) || german.includes(phrase), phrase);
  await page.goto(`${server.address}/#/system`);
  await page.locator("#language").selectOption("en");
  await page.locator("#machine-title", { hasText: "This machine" }).waitFor();
  await page.reload();
  await page.locator("#machine-title", { hasText: "This machine" }).waitFor();
  await page.locator("#language").selectOption("de");
  await page.locator("#machine-title", { hasText: "Diese Maschine" }).waitFor();
  await done(page);
});

test("colours: as the system, or chosen, and the choice stays", async () => {
  const page = await open(server, { theme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  const button = page.getByRole("button", { name: /^Colours/ });
  await button.click(); // dark
  await button.click(); // light
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  await page.locator("main h1").waitFor();
  assert.equal(await ground(), light);
  await done(page);
});

test("360 pixels wide: nothing to scroll sideways", async () => {
  for (const locale of ["en-US", "de-DE"]) {
    const page = await open(server, { width: 360, height: 740, locale });
    for (const screen of SCREENS) {
      await page.goto(`${server.address}/#/${screen}`);
      if (screen === "library" || screen === "create") await page.locator(".song.done").first().waitFor();
      if (screen === "create") await shot(page, `narrow-${locale}`);
      await unfoldAll(page);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, `${screen} ${locale}`);
    }
    await page.goto(`${server.address}/#/create`);
    await page.locator(".form-head .menu > button").click();
    const list = await page.locator(".menu-list").boundingBox();
    assert.ok(list.x >= 0 && list.x + list.width <= 360, `the menu is at ${list.x}, ${list.width} wide`);
    await page.keyboard.press("Escape");
    await mode(page, "repaint");
    await page.locator('input[data-field="src_audio"]').setInputFiles({ name: "tone.wav", mimeType: "audio/wav", buffer: tone(5) });
    await page.locator(".region-wave").waitFor();
    await page.locator(".song .round").first().click();
    await page.locator(".player").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, `repaint ${locale}`);
    await done(page);
  }
});

test("checkpoints: advised, on their way, here", async () => {
  const page = await open(server);
  const set = (name, kind, more) => ({ name, kind, about: "about it", state: "absent", reason: "", bytes: 0, size: 5e9, recommended: true, ...more });
  let sets = [set("vae", "shared", {}), set("acestep-v15-turbo", "diffusion", {}), set("acestep-v15-base", "diffusion", { recommended: false })];
  let downloads = [];
  const asked = [];
  await page.route("**/v1/store**", (route) => {
    const request = route.request();
    if (request.method() === "GET") return route.fulfill({ json: { folder: "/models", free_bytes: 9e10, ready: false, sets, downloads } });
    asked.push([request.method(), new URL(request.url()).pathname, request.postDataJSON?.() ?? null]);
    if (request.method() === "POST")
      downloads = [{ id: "d_1", status: "running", sets: request.postDataJSON().sets, error: null,
        progress: { set: "vae", fraction: 0.25, bytes_per_second: 1e7, eta_seconds: 70, note: "" } }];
    else downloads = [{ ...downloads[0], status: "cancelled" }];
    return route.fulfill({ json: {} });
  });
  await page.goto(`${server.address}/#/models`);
  await page.getByText("advised to have vae, acestep-v15-turbo: 9.3 GB").waitFor();
  await page.getByRole("button", { name: "Download them" }).click();
  await page.getByRole("progressbar", { name: "Downloading vae" }).waitFor();
  assert.equal(await page.getByRole("progressbar", { name: "Downloading vae" }).getAttribute("aria-valuenow"), "25");
  await page.getByText("25 % · 9.5 MB a second · about 70 s left").waitFor();
  await page.locator('[data-set="acestep-v15-turbo"]', { hasText: "Waiting" }).waitFor();
  await page.getByRole("button", { name: "Cancel vae" }).click();
  await page.getByRole("button", { name: "Download vae" }).click();
  await page.getByRole("progressbar", { name: "Downloading vae" }).waitFor();
  downloads = [{ ...downloads[0], status: "done", progress: null }];
  sets = [set("vae", "shared", { state: "complete", bytes: 5e9 }), ...sets.slice(1)];
  await page.getByRole("status").filter({ hasText: "vae is here" }).waitFor();
  await page.getByRole("button", { name: "Download vae" }).waitFor({ state: "detached" });
  assert.deepEqual(asked, [
    ["POST", "/v1/store/download", { sets: ["vae", "acestep-v15-turbo"] }],
    ["DELETE", "/v1/store/downloads/d_1", null],
    ["POST", "/v1/store/download", { sets: ["vae"] }],
  ]);
  await done(page);
});

test("checkpoints: an answer that comes late does not undo a newer one", async () => {
  const page = await open(server);
  const list = (name) => ({ folder: "/models", free_bytes: 9e10, ready: false, downloads: [],
    sets: [{ name, kind: "shared", about: "", state: "absent", reason: "", bytes: 0, size: 1e9, recommended: true }] });
  let late;
  await page.goto("about:blank"); // nothing of the page that was open may still ask
  await page.route("**/v1/store", (route) => (late ? route.fulfill({ json: list("newer") }) : void (late = route)));
  await page.goto(server.address);
  await page.locator(".modes").waitFor();
  await page.goto(`${server.address}/#/models`);
  await page.getByText("advised to have newer").waitFor();
  const arrived = page.waitForResponse("**/v1/store");
  await late.fulfill({ json: list("older") });
  await (await arrived).finished();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await page.getByText("advised to have newer").waitFor();
  assert.equal(await page.getByText("advised to have older").count(), 0);
  await done(page);
});

/** Presses Tab until something is reached; whatever has the focus must show it. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press("Tab");
    const { there, seen, what } = await page.evaluate((wanted) => {
      const now = document.activeElement;
      const shown = now.matches(".mode input, .segments input") ? now.parentElement : now;
      const style = getComputedStyle(shown);
      const box = shown.getBoundingClientRect();
      const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      const free = !at || shown.contains(at) || at.contains(shown) || !at.closest(".top, .make-bar, .player");
      return { there: now.matches(wanted), seen: style.outlineStyle !== "none" && free, what: now.outerHTML.slice(0, 120) };
    }, selector);
    assert.ok(seen || what.startsWith("<body"), `the focus cannot be seen on ${what}`);
    if (there) return;
  }
  assert.fail(`Tab does not reach ${selector}`);
}

test("with keys alone: from the form to the music", async () => {
  const page = await open(server);
  await tabTo(page, ".modes input");
  await page.keyboard.press("ArrowRight"); // from Simple to Custom
  await page.locator("#field-caption").waitFor();
  await tabTo(page, "#field-caption");
  await page.keyboard.type("made by keys");
  await tabTo(page, '[aria-label="Length, number"]');
  await page.keyboard.type("10");
  const scrolled = await page.evaluate(() => {
    const before = scrollY;
    document.getElementById("make").focus(); // stands on the page's edge already
    return scrollY - before;
  });
  assert.equal(scrolled, 0);
  await page.keyboard.press("Control+Enter");
  await page.locator(".song.done h3", { hasText: "made by keys" }).waitFor({ timeout: 60000 });
  await tabTo(page, '.song [aria-label="Play made by keys"]');
  await page.keyboard.press("Enter");
  await page.locator(".player").waitFor();
  await page.waitForFunction(() => document.querySelector(".player .time").textContent !== "0:00");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Space");
  await page.locator('.player [aria-label="Play"]').waitFor();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => Number(document.querySelector(".player canvas").getAttribute("aria-valuenow")) >= 5);
  await page.keyboard.press("m");
  await page.locator('.player [aria-pressed="true"]').waitFor();
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement.id === "search");
  await page.keyboard.type("m?1"); // typed, not obeyed
  assert.equal(await page.locator("#search").inputValue(), "m?1");
  await done(page);
});

test("nothing may run or be styled from the page's text, and nothing comes from elsewhere", async () => {
  const answer = await server.ask("/");
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const text = await answer.text();
  assert.doesNotMatch(text, /<style|style=|<script(?![^>]*src=)|https?:\/\//);
});
