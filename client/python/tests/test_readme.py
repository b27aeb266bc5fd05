"""The examples of the README run, each as a program of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Cloud, Machine

README = Path(__file__).parents[1] / "README.md"
EXAMPLES: list[str] = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def run(here: Machine, program: str) -> str:
    # As `coditect config set cloud-url` would have it.
    (here.home / "config.json").touch(mode=0o600)
    (here.home / "config.json").write_text(f'{{"cloud-url": "{here.cloud_url}"}}')
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], env=here.env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: re.sub(r"\W+", " ", program.split("\n")[2])[:40])
def test_an_example_runs(cloud: Cloud, machine: Callable[..., Machine], program: str) -> None:
    here = machine(cloud.url)
    assert here.client().activate(cloud.license().key)
    assert run(here, program).strip()


def test_an_example_without_a_key_says_what_to_do(cloud: Cloud, machine: Callable[..., Machine]) -> None:
    here = machine(cloud.url)
    here.home.mkdir(mode=0o700)
    assert "coditect activate" in run(here, EXAMPLES[1])
    assert "9 of 10 commands are left today" in run(here, EXAMPLES[2])
