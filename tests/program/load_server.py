#!/usr/bin/env python3
"""Many clients at once: no job is lost, a full queue says when to come again, memory stays flat.

usage: load_server.py PATH/TO/acestep [--clients 64] [--seconds 30]

The server walks through jobs without computing them (--exec shape), so that the queue and HTTP are what is
measured. Prints one line of figures; exit status 1 when something was lost, wrong or growing."""
import argparse
import http.client
import json
import sys
import tempfile
import threading
import time

sys.argv, arguments = sys.argv[:2], sys.argv[2:]
from test_server import Server  # noqa: E402  (it reads the program's path from the arguments)

GROWTH = 24 << 20  # bytes of memory that may come on top once every client has been served


class Client(threading.Thread):
    def __init__(self, server, end):
        super().__init__(daemon=True)
        self.server, self.end = server, end
        self.accepted, self.refused, self.wrong, self.seconds = [], 0, [], []

    def ask(self, method, target, body=None):
        headers = {"Content-Type": "application/json"} if body else {}
        start = time.monotonic()
        self.connection.request(method, target, json.dumps(body) if body else None, headers)
        response = self.connection.getresponse()
        text = response.read()
        return response, text, time.monotonic() - start

    def one_job(self):
        response, text, seconds = self.ask("POST", "/v1/jobs", {"caption": "load", "duration": 10})
        if response.status == 202:
            self.seconds.append(seconds)
            self.accepted.append(json.loads(text)["id"])
        elif response.status == 429 and int(response.headers.get("Retry-After", 0)) >= 1:
            self.refused += 1
            time.sleep(0.05)  # sooner than asked: this is about load
        elif response.status == 503:  # too many requests wait for a thread
            time.sleep(0.05)
        else:
            self.wrong.append((response.status, text[:200]))
        if self.accepted and len(self.accepted) % 8 == 0:
            response, text, _ = self.ask("GET", f"/v1/jobs/{self.accepted[-1]}")
            if response.status != 200:
                self.wrong.append((response.status, text[:200]))

    def run(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while time.monotonic() < self.end:
            try:
                self.one_job()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append((0, repr(error)))
                self.connection.close()
                time.sleep(0.05)
        self.connection.close()


def watch(server, clients, seconds):
    """Memory in bytes once warm and at the end."""
    start = time.monotonic()
    warm = 0
    while any(c.is_alive() for c in clients):
        time.sleep(0.1)
        if time.monotonic() - start < seconds / 3:
            warm = max(warm, server.resident())
    return warm, server.resident()


def ended(server, names):
    """How often each status occurs among these jobs, once none of them waits any more."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        waiting = server.ask("GET", "/v1/jobs?status=queued,running&limit=1").json["total"]
        if waiting == 0:
            break
        time.sleep(0.05)
    counts, after = {}, ""
    known = set(names)
    while True:
        page = server.ask("GET", f"/v1/jobs?limit=500{after}").json
        for job in page["jobs"]:
            if job["id"] in known:
                counts[job["status"]] = counts.get(job["status"], 0) + 1
        if not page["next"]:
            return counts
        after = "&after=" + page["next"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="acestep-load-") as folder:
        server = Server(folder, "--exec", "shape", "--queue-limit", "16")
        if server.port is None:
            sys.exit(server.text())
        end = time.monotonic() + options.seconds
        clients = [Client(server, end) for _ in range(options.clients)]
        for client in clients:
            client.start()
        warm, last = watch(server, clients, options.seconds)
        names = [n for c in clients for n in c.accepted]
        wrong = [w for c in clients for w in c.wrong]
        counts = ended(server, names)
        seconds = sorted(s for c in clients for s in c.seconds) or [0]
        refused = sum(c.refused for c in clients)
        idle = server.resident()
        status = server.stop()
    at = lambda share: 1000 * seconds[min(int(share * len(seconds)), len(seconds) - 1)]
    print(f"{options.clients} clients, {options.seconds:g} s: {len(names)} jobs accepted "
          f"({len(names) / options.seconds:.0f} a second), {counts.get('done', 0)} done, {refused} refused with "
          f"Retry-After, {len(wrong)} wrong answers; accepting took {at(.5):.0f} ms (median), {at(.99):.0f} ms "
          f"(99 %); memory {warm / 2**20:.1f} MB in the first third, {last / 2**20:.1f} MB at the end, "
          f"{idle / 2**20:.1f} MB idle")
    problems = wrong[:5]
    if counts.get("done", 0) != len(names) or not names:
        problems.append(f"of {len(names)} jobs ended: {counts}")
    if last > warm + GROWTH:
        problems.append("memory grows")
    if status != 0:
        problems.append(f"the server ended with {status}")
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
