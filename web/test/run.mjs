// Checks the types and runs the browser tests.
//   node web/test/run.mjs PROGRAM FOLDER_FOR_PICTURES [TEST_FILE …]
// Exit status 77: something that the tests need is not installed.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [program, shots, ...chosen] = process.argv.slice(2);

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(chromium)) skip(`there is no ${chromium} (Debian: chromium; or CHROMIUM=PATH)`);

const lock = createHash("sha256").update(readFileSync(join(here, "package-lock.json"))).digest("hex");
const stamp = join(here, "node_modules/.installed");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lock) {
  const npm = spawnSync("npm", ["ci", "--ignore-scripts"], { cwd: here, encoding: "utf8", timeout: 300000 });
  if (npm.status !== 0) skip(`npm could not install the test packages (is the network there?)\n${npm.stderr ?? npm.error}`);
  writeFileSync(stamp, lock);
}
if (!existsSync(join(here, "../node_modules/esbuild"))) skip("the page's packages are not installed: the build does that");

const types = spawnSync(join(here, "node_modules/.bin/tsc"), ["--noEmit", "-p", join(here, "../tsconfig.json")], { stdio: "inherit" });
if (types.status !== 0) process.exit(1);

const files = chosen.length > 0 ? chosen : readdirSync(here).filter((name) => name.endsWith(".test.mjs"));
const tests = spawnSync(process.execPath, ["--test", ...files.map((name) => join(here, name))], {
  stdio: "inherit",
  env: { ...process.env, ACESTEP_PROGRAM: resolve(program), ACESTEP_SHOTS: resolve(shots) },
});
process.exit(tests.status === 0 ? 0 : 1);
