// Bundles src/ into OUTPUT/dist and writes OUTPUT/page_files.{c,S}, which embed the files in the program.
//   node build.mjs OUTPUT
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const output = resolve(process.argv[2] ?? join(here, "build"));
const dist = join(output, "dist");

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** Every language has the keys of the English file and the same {placeholders}. */
function checkTexts() {
  const folder = join(here, "src/text");
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const english = read("en.json");
  const holes = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join(" ");
  const faults = [];
  for (const file of readdirSync(folder)) {
    const texts = read(file);
    for (const key of Object.keys(english)) {
      if (!(key in texts)) faults.push(`${file}: "${key}" is missing`);
      else if (holes(texts[key]) !== holes(english[key]))
        faults.push(`${file}: "${key}" has other placeholders than en.json`);
    }
    for (const key of Object.keys(texts))
      if (!(key in english)) faults.push(`${file}: "${key}" is not in en.json`);
  }
  if (faults.length) throw new Error(faults.join("\n"));
}

/** [code, its own name] of every language. */
function languages() {
  const folder = join(here, "src/text");
  return readdirSync(folder).map((file) => [
    file.replace(".json", ""),
    JSON.parse(readFileSync(join(folder, file), "utf8"))["language.name"],
  ]);
}

/** The licences of what ends up in the bundle. */
function licences() {
  const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
  const bundled = ["preact", "@preact/signals", "@preact/signals-core", "lucide-static"];
  return bundled
    .map((name) => {
      const { version, license } = lock.packages[`node_modules/${name}`];
      const text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${"-".repeat(72)}\n\n`);
}

async function bundle() {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await build({
    absWorkingDir: here,
    entryPoints: { page: "src/main.tsx", style: "src/style/style.css" },
    outdir: dist,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2021", "chrome105", "firefox121", "safari15.4"], // the first with :has()
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".svg": "text" },
    define: { LANGUAGES: JSON.stringify(languages()) },
    legalComments: "none",
    logLevel: "warning",
  });
  for (const name of ["index.html", "icon.svg"])
    writeFileSync(join(dist, name), readFileSync(join(here, "src", name)));
  const texts = join(here, "src/text");
  for (const name of readdirSync(texts).filter((name) => name !== "en.json")) // that one is in the bundle
    writeFileSync(join(dist, name), JSON.stringify(JSON.parse(readFileSync(join(texts, name)))));
  writeFileSync(join(dist, "licenses.txt"), licences());
}

function embed() {
  let assembly = "    .section .rodata\n";
  let declarations = "";
  let rows = "";
  readdirSync(dist)
    .filter((name) => !name.endsWith(".gz"))
    .sort()
    .forEach((name, index) => {
      const bytes = readFileSync(join(dist, name));
      const zipped = gzipSync(bytes, { level: 9 });
      zipped[9] = 255; // the system that wrote it: unknown
      writeFileSync(join(dist, `${name}.gz`), zipped);
      const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
      for (const [symbol, file] of [
        [`ace_page_file_${index}`, name],
        [`ace_page_gzip_${index}`, `${name}.gz`],
      ]) {
        assembly += `    .global ${symbol}\n    .hidden ${symbol}\n${symbol}:\n    .incbin "${join(dist, file)}"\n`;
        declarations += `extern const unsigned char ${symbol}[];\n`;
      }
      rows +=
        `    {"${name}", "${types[extname(name)]}", "${hash}",\n` +
        `     ace_page_file_${index}, ${bytes.length}, ace_page_gzip_${index}, ${zipped.length}},\n`;
    });
  writeFileSync(join(output, "page_files.S"), `${assembly}    .section .note.GNU-stack,"",%progbits\n`);
  writeFileSync(
    join(output, "page_files.c"),
    `/* Written by web/build.mjs. */
#include "server/page.h"

${declarations}
static const ace_page_file files[] = {
${rows}};

const ace_page_file *ace_page_files(size_t *count)
{
    *count = sizeof files / sizeof files[0];
    return files;
}
`,
  );
}

try {
  checkTexts();
  await bundle();
  embed();
} catch (error) {
  console.error(`page: ${error.message}`);
  process.exit(1);
}
