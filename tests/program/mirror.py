"""A host of checkpoints for tests: it speaks as Hugging Face and as ModelScope do, serves a plain folder as
well, and can be told to fail in the ways that hosts and networks fail."""
import hashlib
import http.server
import json
import os
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MAIN = "ACE-Step/Ace-Step1.5"
LARGE = (".safetensors", ".gguf", ".pt")


class Mirror:
    """files: {"REPOSITORY/PATH": bytes}. faults: {end of a path, one or two parts of it: [fault for each request in
    turn]};
    a fault is a pair of its name and its value (see Handler.send_file)."""

    def __init__(self):
        self.files = {}
        self.folder = None  # served as it is below /copy/
        self.faults = {}
        self.log = []  # (path, headers) of every request
        self.etags = {}
        self.listed = {}  # path in a list -> what it says instead: keys of the entry
        self.cdn = None  # address that large files are sent on to
        self.lock = threading.Lock()
        handler = type("H", (Handler,), {"mirror": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.released = threading.Event()  # ends hanging answers
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, repository, prefix, folder):
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as f:
                self.files[repository + "/" + prefix + name] = f.read()

    def requests(self, end):
        with self.lock:
            return [(path, headers) for path, headers in self.log if path.endswith(end)]

    def next_fault(self, path):
        with self.lock:
            for parts in (1, 2):
                waiting = self.faults.get("/".join(path.rsplit("/", parts)[-parts:]), [])
                if waiting:
                    return waiting.pop(0)
        return None, None


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    mirror = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, OSError):
            pass

    def answer(self, status, content=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def repository_of(self, path):
        for key in self.mirror.files:
            owner, name, _ = key.split("/", 2)
            if path.startswith(owner + "/" + name + "/"):
                return owner + "/" + name
        return None

    def entries(self, repository):
        for key, content in sorted(self.mirror.files.items()):
            if key.startswith(repository + "/"):
                path = key[len(repository) + 1:]
                yield path, content, self.mirror.listed.get(path.rsplit("/", 1)[-1], {})

    def list_huggingface(self, repository):
        siblings = []
        for path, content, lie in self.entries(repository):
            entry = {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
            if path.endswith(LARGE):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
                                "pointerSize": 134}
                entry["lfs"].update({k: v for k, v in lie.items() if k in entry["lfs"]})
            entry.update(lie)
            siblings.append(entry)
        return json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()

    def list_modelscope(self, repository):
        files = [{"Path": "vae", "Type": "tree", "Size": 0}]
        for path, content, _ in self.entries(repository):
            files.append({"Path": path, "Type": "blob", "Size": len(content),
                          "Sha256": hashlib.sha256(content).hexdigest()})
        return json.dumps({"Code": 200, "Data": {"Files": files}}).encode()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        with self.mirror.lock:
            self.mirror.log.append((path, dict(self.headers)))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            fault, value = self.mirror.next_fault("list")
            if fault == "status":
                self.answer(value)
            elif fault == "text":
                self.answer(200, value)
            else:
                self.answer(200, self.list_huggingface("/".join(parts[2:4])))
        elif parts[:3] == ["api", "v1", "models"]:
            self.answer(200, self.list_modelscope("/".join(parts[3:5])))
        elif parts[0] == "copy" and self.mirror.folder:
            try:
                with open(os.path.join(self.mirror.folder, *parts[1:]), "rb") as f:
                    self.send_file(path, f.read())
            except OSError:
                self.answer(404)
        elif "resolve" in parts:
            at = parts.index("resolve")
            key = "/".join(parts[at - 2:at] + parts[at + 2:])
            if key not in self.mirror.files:
                self.answer(404)
            elif self.mirror.cdn and key.endswith(LARGE):
                self.answer(302, b"moved", [("Location", self.mirror.cdn + "/cdn/" + key)])
            else:
                self.send_file(path, self.mirror.files[key])
        elif parts[0] == "cdn":
            self.send_file(path, self.mirror.files["/".join(parts[1:])])
        else:
            self.answer(404)

    def send_file(self, path, content):
        fault, value = self.mirror.next_fault(path)
        etag = self.mirror.etags.get(path.rsplit("/", 1)[-1], '"%s"' % hashlib.md5(content).hexdigest())
        if fault == "status":
            status, headers = value if isinstance(value, tuple) else (value, ())
            return self.answer(status, b"this is not the file" * 10, headers)
        if fault == "redirect":
            return self.answer(302, b"", [("Location", value)])
        if fault == "corrupt":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "replace":
            content = value
        start = 0
        wanted = self.headers.get("Range")
        fresh = self.headers.get("If-Range") in (None, etag)
        if wanted and fresh and fault != "ignore range":
            start = int(wanted[len("bytes="):].split("-")[0])
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            begin = start + 1 if fault == "shift" else start
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(content) - 1, len(content)))
        self.send_header("ETag", etag)
        if fault != "no length":
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if fault == "cut":
            self.wfile.write(body[:value])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
        elif fault == "hang":
            self.wfile.write(body[:value])
            self.wfile.flush()
            self.mirror.released.wait(60)
        elif fault == "slow":
            for i in range(0, len(body), value):
                self.wfile.write(body[i:i + value])
                self.wfile.flush()
                if self.mirror.released.wait(0.02):
                    break
        else:
            self.wfile.write(body)
