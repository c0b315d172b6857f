// The engine panel on every kind of card, against the table that the tiers are defined by (docs/gpu-compatibility.md).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, done, mode, modelsOfAllSizes, open, quit, serve, shot, typeNumber, unfold } from "./support.mjs";

const SIZES = ["0.6B", "1.7B", "4B"];
const ALL = ["vllm", "pt", "mlx"];
const SMALL = ["pt", "mlx"];

// card: lm, sizes, selected, backends, offload, offload_dit, int8, seconds [with lm, without], songs [with, without]
const cards = {
  4: [false, [], "", SMALL, true, true, true, [240, 360], [1, 1]],
  6: [false, [], "", SMALL, true, true, true, [480, 600], [1, 1]],
  7: [true, ["0.6B"], "0.6B", SMALL, true, true, true, [480, 600], [1, 2]],
  8: [true, ["0.6B"], "0.6B", ALL, true, true, true, [480, 600], [2, 4]],
  12: [true, ["0.6B", "1.7B"], "1.7B", ALL, true, false, true, [480, 600], [2, 4]],
  16: [true, ["0.6B", "1.7B"], "1.7B", ALL, true, false, true, [480, 600], [4, 8]],
  20: [true, SIZES, "1.7B", ALL, false, false, false, [480, 480], [4, 8]],
  24: [true, SIZES, "4B", ALL, false, false, false, [600, 600], [8, 8]],
};

let models;
before(() => (models = modelsOfAllSizes()));
after(async () => {
  await quit();
  models.remove();
});

const field = (page, name) => page.locator(`#field-${name}`);
const choices = (page, name) => field(page, name).locator("option").evaluateAll((list) => list.map((each) => each.value));
const noteOf = (page, name) => page.locator(`#field-${name}-note`).textContent();

/** The limits that the form has, once the server has answered. */
async function limits(page, seconds, songs) {
  await page.waitForFunction(
    ([a, b]) =>
      document.querySelector("#field-duration")?.max === String(a) && document.querySelector("#field-batch_size")?.max === String(b),
    [seconds, songs],
  );
}

for (const [vram, [lm, sizes, selected, backends, offload, offloadDit, int8, seconds, songs]] of Object.entries(cards)) {
  test(`a card of ${vram} GB`, async () => {
    const server = await serve({ vram, options: ["--models", models.folder] });
    const page = await open(server);
    try {
      await mode(page, "custom");
      await unfold(page, "#engine");
      assert.match(await page.locator("#tier").textContent(), new RegExp(`tier|unlimited`));
      assert.match(await page.locator("#tier-line").textContent(), new RegExp(`simulated ${vram} GB card`));

      assert.equal(await field(page, "init_llm").isChecked(), lm);
      assert.equal(await field(page, "init_llm").isDisabled(), !lm);
      if (!lm) {
        assert.match(await noteOf(page, "init_llm"), /leaves its memory to the diffusion model/);
        assert.match(await field(page, "init_llm").getAttribute("aria-describedby"), /field-init_llm-note/);
      }
      const offered = (await choices(page, "lm_model_path")).filter((name) => name !== "");
      assert.deepEqual(offered, sizes.map((size) => `acestep-5Hz-lm-${size}`));
      assert.equal(await field(page, "lm_model_path").inputValue(), selected && `acestep-5Hz-lm-${selected}`);
      assert.equal(await field(page, "lm_model_path").isDisabled(), !lm);

      assert.deepEqual(await choices(page, "backend"), backends);
      assert.equal(await field(page, "backend").inputValue(), backends[0]);
      if (backends === SMALL) assert.match(await noteOf(page, "backend"), /vllm is not offered/);

      assert.equal(await field(page, "offload_to_cpu").isChecked(), offload);
      assert.equal(await field(page, "offload_dit_to_cpu").isChecked(), offloadDit);
      const small = vram <= 6; // what it cannot do without is locked, and says so
      assert.match(await noteOf(page, "offload_to_cpu"), small ? /Required/ : offload ? /Recommended/ : /Optional/);
      for (const name of ["offload_to_cpu", "offload_dit_to_cpu", "quantization"])
        assert.equal(await field(page, name).isDisabled(), small || (name === "offload_dit_to_cpu" && !offload), name);
      assert.equal(await field(page, "quantization").isChecked(), int8);
      if (small) assert.match(await noteOf(page, "quantization"), /Required/);
      assert.equal(await field(page, "compile_model").isChecked(), true);
      assert.equal(await field(page, "compile_model").isDisabled(), int8); // INT8 needs it
      assert.ok(await field(page, "use_flash_attention").isDisabled());
      assert.match(await noteOf(page, "use_flash_attention"), /Not available/);

      if (lm) {
        await limits(page, seconds[0], songs[0]);
        await field(page, "init_llm").uncheck();
      }
      await limits(page, seconds[1], songs[1]);

      // beyond the limits: brought down, and said with both numbers
      await page.evaluate(() => document.activeElement?.blur());
      const number = await typeNumber(page, "Length, number", 9999);
      assert.equal(await number.inputValue(), String(seconds[1]));
      await page.getByRole("status").filter({ hasText: new RegExp(`Length: ${seconds[1]} instead of 9,999. That is the limit of (tier|unlim)`) }).waitFor();
      await typeNumber(page, "Length, number", 9999); // once more, though nothing changes any more
      assert.equal(await number.inputValue(), String(seconds[1]));
      if (lm && seconds[0] < seconds[1]) {
        await field(page, "init_llm").check(); // the limit shrinks under the value
        await limits(page, seconds[0], songs[0]);
        await page.waitForFunction((most) => document.querySelector("#field-duration").value === String(most), seconds[0]);
      }
      await done(page);
    } finally {
      await server.stop();
    }
  });
}

test("choices of one's own: another tier, warnings, and back", async () => {
  const server = await serve({ vram: 24, options: ["--models", models.folder] });
  const page = await open(server);
  try {
    await unfold(page, "#engine");
    await field(page, "tier").selectOption({ index: 1 });
    await page.waitForFunction(() => document.querySelector("#field-init_llm").disabled);
    assert.deepEqual(await choices(page, "backend"), SMALL);
    assert.match(await page.locator("#tier").textContent(), /tier2.*override/);
    assert.match(await page.locator("#tier-line").textContent(), /24 GB/); // the memory stays what it is
    await field(page, "tier").selectOption({ label: "unlimited (≥24GB)" });
    await page.waitForFunction(() => !document.querySelector("#field-init_llm").disabled);
    assert.doesNotMatch(await page.locator("#tier").textContent(), /override/);

    await field(page, "backend").selectOption("mlx");
    await page.locator("#engine .warnings").filter({ hasText: /Apple silicon/ }).waitFor();
    await field(page, "quantization").check();
    await page.waitForFunction(() => document.querySelector("#field-compile_model").disabled);
    await accessible(page, "engine panel");
    await shot(page, "engine");
    await page.getByRole("button", { name: "Back to the tier's own values" }).click();
    await page.waitForFunction(() => !document.querySelector("#field-quantization").checked);
    assert.equal(await field(page, "backend").inputValue(), "vllm");
    await done(page);
  } finally {
    await server.stop();
  }
});

test("the forecast is the plan, bar by bar", async () => {
  const server = await serve({ vram: 6, options: ["--weights", "synthetic:turbo"] });
  const page = await open(server);
  try {
    await mode(page, "custom");
    await page.locator("#field-caption").fill("slow piano");
    const answer = page.waitForResponse((response) => response.url().includes("dry_run") && response.request().postData().includes('"duration":90'));
    await typeNumber(page, "Length, number", 90);
    const { plan } = await (await answer).json();
    await page.locator(".plan:not(.working) .figures dd", { hasText: "1:30" }).waitFor();
    const shown = await page.locator(".plan-row").evaluateAll((rows) =>
      rows.map((row) => [...row.querySelectorAll("rect")].reduce((sum, each) => sum + Number(each.dataset.bytes), 0)));
    const stages = plan.stages.filter((stage) => stage.peak_bytes > 0);
    assert.deepEqual(shown, stages.map((stage) => stage.peak_bytes + plan.workspace_bytes));
    assert.equal(Math.max(...shown), plan.peak_bytes);
    const line = page.locator(".plan-cap-line");
    assert.equal(Number(await line.getAttribute("data-bytes")), plan.cap_bytes);
    // lengths on the screen are to scale: the limit and the longest bar
    const track = await page.locator(".plan-bar").first().boundingBox();
    const longest = shown.indexOf(plan.peak_bytes);
    const widths = await page.locator(".plan-row").nth(longest).locator("rect").evaluateAll((list) =>
      list.reduce((sum, each) => sum + each.width.baseVal.value, 0));
    const at = (await line.boundingBox()).x - track.x;
    assert.ok(Math.abs(at / widths - plan.cap_bytes / plan.peak_bytes) < 0.02 * (plan.cap_bytes / plan.peak_bytes), `${at} ${widths}`);
    await page.locator(".plan-table summary").click();
    assert.equal(await page.locator(".plan-table tbody tr").count(), stages.length);
    await shot(page, "forecast");
    await done(page);
  } finally {
    await server.stop();
  }
});

test("a tier above the card is asked about; all tiers stand beside each other", async () => {
  const server = await serve({ vram: 6, options: ["--models", models.folder] });
  const page = await open(server);
  try {
    await unfold(page, "#engine");
    const tier = field(page, "tier");
    const own = await tier.inputValue();
    await tier.selectOption({ label: "tier5 (12-16GB)" });
    await page.locator("dialog").getByText("made for a larger card").waitFor();
    await accessible(page, "a tier above the card");
    await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.equal(await tier.inputValue(), own);
    assert.ok(await field(page, "init_llm").isDisabled());
    await tier.selectOption({ label: "tier5 (12-16GB)" });
    await page.locator("dialog").getByRole("button", { name: "Choose it" }).click();
    await page.waitForFunction(() => !document.querySelector("#field-init_llm").disabled);
    await page.getByRole("button", { name: "Back to the tier's own values" }).click();
    await page.waitForFunction(() => document.querySelector("#field-init_llm").disabled);

    await page.goto(`${server.address}/#/system`);
    await page.locator("#tiers summary").click();
    const rows = page.locator("#tiers tbody tr");
    await rows.nth(7).waitFor();
    const cells = await rows.evaluateAll((list) => list.map((row) => [...row.querySelectorAll("td")].map((each) => each.textContent)));
    assert.equal(cells.length, 8);
    Object.values(cards).forEach(([, sizes, , backends, offload, offloadDit, int8, seconds, songs], index) => {
      const on = (is) => (is ? "On" : "Off");
      const wanted = [sizes.join(" ") || "–", backends === ALL ? "vllm" : "pt", on(offload), on(offloadDit), int8 ? "INT8" : "Off", seconds.join(" / "), songs.join(" / ")];
      assert.deepEqual(cells[index], wanted);
    });
    assert.match(await page.locator("#tiers tr[aria-current]").textContent(), /^tier2/);
    await accessible(page, "all tiers");
    await shot(page, "tiers");
    await done(page);
  } finally {
    await server.stop();
  }
});
