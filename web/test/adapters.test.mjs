// Adapters in the form: sent, chosen, named in the request, removed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  accessible, done, fillIn, golden, jobsOf, make, newestSong, open, quit, serve, shot, typeNumber, unfold,
} from "./support.mjs";

let server; // small models: quick
before(async () => (server = await serve({ options: ["--models", golden, "--thinking", "false"] })));
after(async () => {
  await quit();
  await server.stop();
});

/** Of one layer of the small transformer, rank 2, as PEFT writes it. */
function adapter() {
  const name = "base_model.model.layers.0.cross_attn.q_proj";
  const values = Float32Array.from({ length: 128 }, (_, i) => ((i % 7) - 3) / 7);
  const header = Buffer.from(
    JSON.stringify({
      [`${name}.lora_A.weight`]: { dtype: "F32", shape: [2, 64], data_offsets: [0, 512] },
      [`${name}.lora_B.weight`]: { dtype: "F32", shape: [64, 2], data_offsets: [512, 1024] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.from(values.buffer), Buffer.from(values.buffer)]);
}

const send = (page, name, buffer) =>
  page.locator("#adapter-file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });

test("an adapter is sent, turned on, weighed, played with and removed", async () => {
  const page = await open(server);
  await fillIn(page, "in a style of its own", 10);
  await unfold(page, "#adapters");
  await page.getByText("There are none here yet").waitFor();
  await send(page, "guitar.safetensors", adapter());
  const row = page.locator(".adapter", { hasText: "guitar" });
  await row.getByText("Rank 2, layers: 1").waitFor();
  assert.equal(await row.getByRole("switch").isChecked(), true);
  await page.locator("#adapters .chip", { hasText: "1 on" }).waitFor();
  await typeNumber(page, "Strength of guitar", 0.5);
  await page.getByRole("button", { name: "Add an adapter" }).scrollIntoViewIfNeeded();
  await shot(page, "adapters");
  await accessible(page, "adapters");
  await make(page);
  await newestSong(page);
  assert.equal((await jobsOf(server))[0].params.lora, "guitar:0.5");

  await row.getByRole("switch").uncheck();
  assert.equal(await page.getByLabel("Strength of guitar").count(), 0);
  await make(page);
  await page.locator(".song.done").nth(1).waitFor();
  assert.equal((await jobsOf(server))[0].params.lora ?? "", "");

  await row.getByRole("button", { name: "Remove guitar" }).click();
  await row.waitFor({ state: "detached" });
  assert.deepEqual((await (await server.ask("/v1/adapters")).json()).adapters, []);
  await done(page);
});

test("what is no adapter is refused in words", async () => {
  const page = await open(server);
  await unfold(page, "#adapters");
  await send(page, "noise.safetensors", Buffer.from("not an adapter at all"));
  await page.getByRole("alert").filter({ hasText: /adapter|safetensors/ }).waitFor();
  assert.equal(await page.locator(".adapter").count(), 0);
  await done(page, [/422/]);
});
