"""A private deployment for all tests, and machines to ask it from."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient, Notice

SCRIPTS = Path(__file__).parents[3] / "scripts"

# No server listens there.
NOWHERE = "http://127.0.0.1:1"

_numbers = itertools.count(1)


class Cloud:
    """A deployment, and what its operator does."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.url = env["CODITECT_URL"]

    def ops(self, *arguments: str) -> dict[str, Any]:
        command = [f"{self.env['CODITECT_BIN_DIR']}/ops", *arguments, "--json"]
        done = subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def license(self, plan: str = "TEAM", seats: int = 1) -> IssuedLicense:
        slug = f"python-{next(_numbers)}"
        self.ops("tenant", "create", "--name", "Python", "--slug", slug)
        issued = self.ops("license", "issue", "--tenant", slug, "--plan", plan, "--seats", str(seats))
        return IssuedLicense(self, issued["license_id"], issued["license_key"])


class IssuedLicense:
    """A license, as its operator sees it."""

    def __init__(self, cloud: Cloud, id: str, key: str) -> None:
        self.cloud = cloud
        self.id = id
        self.key = key

    @property
    def seats_in_use(self) -> int:
        shown: int = self.cloud.ops("license", "show", self.id)["seats_in_use"]
        return shown


class Line(ThreadingHTTPServer):
    """The way from a machine to the cloud, which can be cut: it passes on what it gets, and says of each function that it is
    here."""

    daemon_threads = True

    def __init__(self, to: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.to = to
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cut = False


class _Passing(BaseHTTPRequestHandler):
    server: Line

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["content-length"])))

    def _pass_on(self, body: bytes | None) -> None:
        if self.server.cut:
            return
        kept = {name: value for name, value in self.headers.items() if name in ("authorization", "content-type")}
        asked = urllib.request.Request(self.server.to + self.path, body, kept)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, text = refused.code, refused.read()
        if self.path == "/.well-known/coditect.json":
            said = json.loads(text)
            said["functions"] = dict.fromkeys(said["functions"], self.server.url)
            text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *values: object) -> None:
        pass


class Machine:
    """A home folder and a hardware id."""

    def __init__(self, home: Path, cloud_url: str) -> None:
        self.home = home
        self.hardware_id = f"{next(_numbers):064x}"
        self.cloud_url = cloud_url
        self.notices: list[Notice] = []

    def client(self, on_notice: Callable[[Notice], object] | None = None) -> LicenseClient:
        return LicenseClient(
            home=self.home,
            hardware_id=self.hardware_id,
            cloud_url=self.cloud_url,
            on_notice=on_notice or self.notices.append,
        )

    @property
    def env(self) -> dict[str, str]:
        """For a process that is this machine's without being told."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CODITECT_")}
        return {**kept, "CODITECT_HOME": str(self.home), "CODITECT_HARDWARE_ID": self.hardware_id}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("stack")
    # Short times, so that tests can see a seat kept beyond its first end.
    short = {**os.environ, "SEAT_TTL_SECONDS": "4", "HEARTBEAT_INTERVAL_SECONDS": "1"}
    subprocess.run([SCRIPTS / "stack", "up", "--dir", folder], env=short, stdout=subprocess.DEVNULL, check=True)
    try:
        lines = (folder / "env").read_text().splitlines()
        yield Cloud({name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)})
    finally:
        subprocess.run([SCRIPTS / "stack", "down", "--dir", folder], check=True)


@pytest.fixture
def line(cloud: Cloud) -> Iterator[Line]:
    with Line(cloud.url) as line:
        threading.Thread(target=line.serve_forever, daemon=True).start()
        yield line
        line.shutdown()


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    """Makes machines; without a cloud's address they are offline."""

    def make(cloud_url: str = NOWHERE) -> Machine:
        return Machine(tmp_path / f"home{next(_numbers)}", cloud_url)

    return make
