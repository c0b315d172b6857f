// The page while it is being worked on: built from src/ at every change, its API from a running server.
//   node web/watch.mjs [ADDRESS_OF_A_SERVER [PORT]]
import { mkdtempSync, readdirSync, readFileSync, watch } from "node:fs";
import { createServer, request } from "node:http";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const server = new URL(process.argv[2] ?? "http://127.0.0.1:7860");
const port = Number(process.argv[3] ?? 8123);
const output = mkdtempSync(join(tmpdir(), "acestep-watch-"));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain" };
const reload = '<script type="module">new EventSource("/.changes").onmessage = () => location.reload();</script>';
const pages = new Set();

function build() {
  const { status } = spawnSync(process.execPath, [join(here, "build.mjs"), output], { stdio: "inherit" });
  if (status !== 0) return;
  for (const page of pages) page.write("data: changed\n\n");
}

function passOn(from, to) {
  const headers = { ...from.headers, host: server.host };
  delete headers.origin; // the page is another origin than the server
  const onward = request({ host: server.hostname, port: server.port, path: from.url, method: from.method, headers }, (answer) => {
    to.writeHead(answer.statusCode, answer.headers);
    answer.pipe(to);
  });
  onward.on("error", () => {
    if (!to.headersSent) to.writeHead(502);
    to.end();
  });
  to.on("close", () => onward.destroy());
  from.pipe(onward);
}

createServer((from, to) => {
  const name = new URL(from.url, "http://page").pathname.slice(1) || "index.html";
  if (name === ".changes") {
    to.writeHead(200, { "Content-Type": "text/event-stream" });
    pages.add(to);
    to.on("close", () => pages.delete(to));
    return;
  }
  let bytes;
  try {
    if (name.includes("/")) throw new Error("of the server");
    bytes = readFileSync(join(output, "dist", name));
  } catch {
    return passOn(from, to);
  }
  to.writeHead(200, { "Content-Type": types[extname(name)] ?? "application/octet-stream", "Cache-Control": "no-store" });
  to.end(name === "index.html" ? bytes.toString().replace("</body>", `${reload}</body>`) : bytes);
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}, with the API of ${server.origin}`));

let timer;
build();
function watchFolder(folder) {
  watch(folder, () => {
    clearTimeout(timer);
    timer = setTimeout(build, 100);
  });
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) watchFolder(join(folder, entry.name));
}
watchFolder(join(here, "src"));
