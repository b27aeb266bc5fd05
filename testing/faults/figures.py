#!/usr/bin/env python3
"""Prints what attacks and faults cost a process, on a private deployment that it starts and stops:

    testing/faults/figures.py [DIR]

Memory under refused bodies, compressed pushes and slow readers; connections that send no whole request; transactions left open by
callers that hang up; heartbeats while PostgreSQL hangs and the verification keys are old. Takes two minutes.
"""

import gzip
import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

ROOT = pathlib.Path(__file__).resolve().parents[2]
AT = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Stack:
    """Every function in one process."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        subprocess.run([ROOT / "scripts/stack", "up", "--dir", folder], check=True, stdout=subprocess.DEVNULL)
        lines = (folder / "env").read_text().splitlines()
        self.env = {name: value.strip("'") for name, value in (line.split("=", 1) for line in lines)}
        self.command = (folder / "run/all-in-one.command").read_text()
        self.port = int(self.env["CODITECT_URL"].rsplit(":", 1)[1])
        ops = pathlib.Path(self.env["CODITECT_BIN_DIR"]) / "ops"

        def run(*words: str) -> dict:
            made = subprocess.run([ops, *words, "--json"], check=True, capture_output=True, text=True, env=os.environ | self.env)
            return json.loads(made.stdout)

        run("tenant", "create", "--name", "Acme", "--slug", "acme")
        self.key = run("license", "issue", "--tenant", "acme", "--plan", "ENT", "--seats", "500")["license_key"]
        self.token = self.call("POST", "/api/v1/auth/license", {"license_key": self.key})[1]["access_token"]

    def down(self) -> None:
        subprocess.run([ROOT / "scripts/stack", "down", "--dir", self.folder], check=False)

    def pid(self, name: str) -> int:
        return int((self.folder / f"run/{name}.pid").read_text().split()[0])

    def psql(self, statement: str) -> list[str]:
        """As a superuser, who sees every tenant's rows and every role's transactions."""
        port = self.env["DATABASE_URL"].rsplit(":", 1)[1].split("/")[0]
        where = (self.folder / "postgres-dir").read_text().strip()
        return ["psql", "-h", where, "-p", port, "-U", "postgres", "-d", "coditect", "-Atqc", statement]

    def number(self, statement: str) -> int:
        return int(subprocess.run(self.psql(statement), check=True, capture_output=True, text=True).stdout)

    def memory(self, what: str) -> int:
        """VmRSS or VmHWM, in MiB."""
        status = pathlib.Path(f"/proc/{self.pid('all-in-one')}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) >> 10

    def call(self, method: str, path: str, body: object = None, token: str = "", port: int = 0) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else {}
        except OSError:
            return 0, {}
        finally:
            connection.close()

    def socket(self, request: bytes, room: int = 0) -> socket.socket:
        opened = socket.socket()
        opened.settimeout(60)
        if room:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        opened.connect(("127.0.0.1", self.port))
        opened.sendall(request)
        return opened

    def established(self) -> int:
        """Connections of the process that are open."""
        command = ["ss", "-Htn", "state", "established", f"sport = :{self.port}"]
        return len(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def head(line: str, length: int, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "host: x", f"content-length: {length}", *headers, "", ""]).encode()


def at_once(number: int, act) -> list:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(act, range(number)))


def counted(values: list) -> str:
    return ", ".join(f"{values.count(value)}× {value}" for value in sorted(set(values)))


def status_of(opened: socket.socket) -> int:
    return int(opened.recv(100)[9:12] or 0)


def refused_bodies(stack: Stack) -> str:
    before, body = stack.memory("VmRSS"), bytes(31 << 20)

    def send(number: int) -> int:
        kind = "application/json" if number % 2 else "text/plain"
        return status_of(stack.socket(head("POST /api/v1/auth/license", len(body), f"content-type: {kind}") + body))

    statuses = at_once(40, send)
    return f"{counted(statuses)}; {before} MiB before, at most {stack.memory('VmHWM')}"


def bombs(stack: Stack) -> str:
    room = "x" * ((4 << 20) - 64)
    body = gzip.compress(f'{{"device_id":"a","records":[],"room":"{room}"}}'.encode())
    headers = ["content-type: application/json", "content-encoding: gzip", f"authorization: Bearer {stack.token}"]
    request = head("POST /api/v1/context/push", len(body), *headers) + body
    statuses = at_once(80, lambda _: status_of(stack.socket(request)))
    return f"{counted(statuses)}, each {len(body)} bytes; at most {stack.memory('VmHWM')} MiB"


def slow_readers(stack: Stack) -> str:
    noise = os.urandom(1 << 17).hex()
    for number in range(5):
        texts = [(f"m{number}-{n}", noise[: 200_000 + n]) for n in range(5)]
        records = [{"kind": "message", "id": name, "content": {"text": text}, "updated_at": AT} for name, text in texts]
        assert stack.call("POST", "/api/v1/context/push", {"device_id": "a", "records": records}, stack.token)[0] == 200
    request = head("GET /api/v1/context/pull?limit=1000", 0, f"authorization: Bearer {stack.token}")
    begin = time.monotonic()
    # With little room in the kernel, so that the answers stay with the process.
    readers = at_once(120, lambda _: stack.socket(request, 4096))
    time.sleep(3)
    highest = stack.memory("VmRSS")
    while time.monotonic() < begin + 90 and stack.established():
        time.sleep(0.5)
    left, took = stack.established(), time.monotonic() - begin
    for reader in readers:
        reader.close()
    return f"{highest} MiB; after {took:.0f} s {left} are still open"


def unfinished_heads(stack: Stack) -> str:
    opened = [stack.socket(b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: ") for _ in range(400)]
    time.sleep(8)
    left = stack.established()
    for one in opened:
        one.close()
    return f"{left} are open after 8 s"


def hang_ups(stack: Stack) -> str:
    locked = "begin; lock table sessions in share mode; select pg_sleep(1.2); commit"
    lock = subprocess.Popen(stack.psql(locked), stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    bodies = [json.dumps({"hardware_id": f"{n:064x}"}).encode() for n in range(12)]
    headers = ["content-type: application/json", f"authorization: Bearer {stack.token}"]
    asking = [stack.socket(head("POST /api/v1/licenses/acquire", len(body), *headers) + body) for body in bodies]
    time.sleep(0.3)
    for one in asking:
        one.close()
    lock.wait()
    left = stack.number("select count(*) from pg_stat_activity where state like 'idle in transaction%'")
    question = {"license_key": stack.key, "machine_id": f"{99:064x}", "version": "1"}
    innocent = at_once(20, lambda _: stack.call("POST", "/api/v1/licenses/validate", question)[0])
    time.sleep(2)
    sessions = stack.number("select count(*) from sessions where ended_at is null")
    return f"{left} transactions left open, {sessions} sessions opened; 20 others: {counted(innocent)}"


def old_keys(stack: Stack) -> str:
    """Another process, whose clocks go on by two hours while PostgreSQL hangs."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    clock = stack.folder / "clock"
    clock.write_text("+0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [re.sub(r"^PORT=.*", f"PORT={port}", word) for word in shlex.split(stack.command)]
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    process = subprocess.Popen(words, env=os.environ | stack.env | faked, stdout=subprocess.DEVNULL)
    try:
        while stack.call("GET", "/ready", port=port)[0] != 200:
            time.sleep(0.1)
        seat = stack.call("POST", "/api/v1/licenses/acquire", {"hardware_id": f"{500:064x}"}, stack.token, port)[1]
        session = {"session_id": seat["session_id"]}

        def beat(_: int) -> tuple[int, float]:
            begin = time.monotonic()
            status = stack.call("POST", "/api/v1/licenses/heartbeat", session, seat["license_token"], port)[0]
            return status, time.monotonic() - begin

        assert beat(0)[0] == 200
        children = subprocess.run(["pgrep", "-P", str(stack.pid("postgres"))], capture_output=True, text=True, check=True)
        hung = [stack.pid("postgres"), *map(int, children.stdout.split())]
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        clock.write_text("+2h")
        beats = at_once(20, beat)
        for pid in hung:
            os.kill(pid, signal.SIGCONT)
        return f"{counted([status for status, _ in beats])}; the slowest took {max(took for _, took in beats):.2f} s"
    finally:
        process.kill()
        process.wait()


def main() -> None:
    stack = Stack(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="coditect-faults-")))
    try:
        for what, measure in (
            ("40 refused bodies of 31 MiB", refused_bodies),
            ("80 pushes at once that unpack to 4 MiB", bombs),
            ("120 readers of a page that don't read", slow_readers),
            ("400 unfinished heads", unfinished_heads),
            ("12 callers that hang up", hang_ups),
            ("20 heartbeats, PostgreSQL hangs, keys two hours old", old_keys),
        ):
            print(f"{what}: {measure(stack)}", flush=True)
    finally:
        stack.down()


if __name__ == "__main__":
    main()
