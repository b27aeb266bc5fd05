"""What needs no cloud: the free tier, what is stored here, and what is refused."""

from __future__ import annotations

import ast
import inspect
import pickle
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import coditect_license
from coditect_license import (
    CoditectError,
    ContextFailed,
    InvalidKey,
    LicenseClient,
    MachineError,
    NoLicenseKey,
    QuotaExceeded,
    Unavailable,
    __version__,
)
from conftest import Machine

Make = Callable[..., Machine]

# Well formed, but of no license.
KEY = "CODITECT-PRO-A7F3E9D2C4B1-D3W4"


def test_the_free_tier_needs_nothing(machine: Make) -> None:
    client = machine().client()
    verdict = client.validate()
    assert verdict and verdict.valid and verdict.state == "valid"
    assert verdict.license is not None
    assert (verdict.license.tier, verdict.license.source) == ("FREE", "free")
    assert verdict.license.features == frozenset()
    assert verdict.license.quotas["commands_per_day"] == 10
    assert verdict.license.refresh_after is None
    assert verdict.message is None and verdict.reason is None and verdict.outage is None
    with pytest.raises(TypeError):
        verdict.license.quotas["commands_per_day"] = 11  # type: ignore[index]
    with pytest.raises(AttributeError):
        verdict.license.tier = "PRO"  # type: ignore[misc]
    with pytest.raises(NoLicenseKey) as none:
        client.acquire()
    assert none.value.code == "no_license_key" and "coditect activate" in none.value.hint
    with pytest.raises(NoLicenseKey), client:
        pass
    assert client.seat is None


def test_ten_commands_a_day_are_free(machine: Make) -> None:
    client = machine().client()
    for left in reversed(range(10)):
        today = client.count_command()
        assert today is not None and today.left == left
    assert today is not None
    now = datetime.now(timezone.utc)
    assert now < today.next_day_at <= now + timedelta(hours=26)
    with pytest.raises(QuotaExceeded) as over:
        client.count_command()
    assert over.value.code == "quota_exceeded"
    assert client.status().commands_today == today


def test_what_is_no_key_is_found_out_here(machine: Make) -> None:
    client = machine().client()
    typo = KEY[:-1] + "X"
    with pytest.raises(InvalidKey) as invalid:
        client.activate(typo)
    assert invalid.value.code == "invalid_format"
    with pytest.raises(Unavailable) as away:
        client.activate(KEY)
    assert away.value.code == "cloud_unavailable" and away.value.hint
    for error in (invalid.value, away.value):
        for said in (str(error), repr(error), error.hint, *error.__notes__):
            assert KEY not in said and typo not in said
    assert client.status().license_key is None


def test_an_exception_says_what_to_do(machine: Make) -> None:
    with pytest.raises(MachineError) as error:
        LicenseClient(home=machine().home, cloud_url="http://example.com")
    assert error.value.__notes__ == [error.value.hint]
    assert str(error.value) == error.value.message
    again = pickle.loads(pickle.dumps(error.value))
    assert type(again) is MachineError and (again.message, again.code, again.hint) == error.value.args
    classes = [value for value in vars(coditect_license).values() if inspect.isclass(value)]
    errors = [each for each in classes if issubclass(each, Exception)]
    assert len(errors) == 13 and all(issubclass(each, CoditectError) for each in errors)


@pytest.mark.parametrize("wrong", [{"profile": "../work"}, {"cloud_url": "example.com"}])
def test_what_cannot_be_used_is_refused(machine: Make, wrong: dict[str, str]) -> None:
    with pytest.raises(MachineError):
        LicenseClient(home=machine().home, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        LicenseClient(home=machine().home, hardware_id="this one")


def test_a_home_that_others_can_read_is_refused(machine: Make) -> None:
    home = machine().home
    home.mkdir(mode=0o755)
    (home / "notes").write_text("An empty folder would be made private and used.")
    with pytest.raises(MachineError) as exposed:
        LicenseClient(home=home).validate()
    assert exposed.value.code == "exposed_file" and f"chmod 700 {home}" in exposed.value.hint


def test_a_profile_is_a_home_of_its_own(tmp_path: Path) -> None:
    client = LicenseClient(home=tmp_path, profile="work", cloud_url="https://coditect.example.com/")
    assert client.home == tmp_path / "profiles" / "work"
    assert client.profile == "work"
    assert client.cloud_url == "https://coditect.example.com"
    assert len(client.hardware_id) == 64
    assert repr(client) == f"<LicenseClient home='{client.home}' cloud_url='https://coditect.example.com'>"


def test_status_asks_nobody(machine: Make) -> None:
    here = machine()
    status = here.client().status()
    assert (status.home, status.hardware_id, status.cloud_url) == (here.home, here.hardware_id, here.cloud_url)
    assert status.license is not None and status.license.tier == "FREE"
    assert status.signed_in_as is None and status.license_key is None and status.seat_token_until is None
    assert status.sync is None and status.last_error is None
    assert repr(status.license) == "License(tier='FREE', source='free')"


def test_records_are_kept_here(machine: Make) -> None:
    client = machine().client()
    context = client.context()
    begin = datetime.now(timezone.utc) - timedelta(seconds=1)
    content = {"title": "Use Postgres", "why": "One store. ☂", "weights": [1, 2.5, None, True]}
    assert context.put("decision", "use-postgres", content, project_id="p1") is True
    assert context.put("decision", "use-postgres", content, project_id="p1") is False
    record = context.get("decision", "use-postgres")
    assert record is not None
    assert (record.kind, record.id, record.project_id, record.content) == ("decision", "use-postgres", "p1", content)
    assert record.queued and not record.locked and record.version is None and record.device_id is None
    assert begin < record.updated_at <= datetime.now(timezone.utc)

    for status in ("pending", "completed"):
        context.put("task", status, {"description": status, "status": status})
    assert [task.id for task in context.list("task", status="pending")] == ["pending"]
    assert [task.id for task in context.list("task", limit=1)] == ["completed"]
    assert context.list("decision", project_id="p2") == []
    assert client.context().delete("task", "pending") is True
    assert context.get("task", "pending") is None
    assert context.delete("task", "pending") is False

    sync = context.status()
    assert not sync.enabled and sync.waiting == 3 and sync.parked == 0 and sync.last_push_at is None
    assert repr(sync) == "SyncStatus(enabled=False, waiting=3, parked=0)"
    assert repr(record) == "Record(kind='decision', id='use-postgres', queued=True)"
    with pytest.raises(ContextFailed) as off:
        context.sync()
    assert off.value.code == "sync_off"


@pytest.mark.parametrize(
    ("kind", "id", "content", "error"),
    [
        ("idea", "x", {}, ValueError),
        ("task", "", {"a": 1}, ContextFailed),
        ("task", "x" * 1000, {"a": 1}, ContextFailed),
        ("task", "x", {"a": float("nan")}, ValueError),
        ("task", "x", {"a": object()}, TypeError),
        ("task", "x", ["a"], TypeError),
        ("task", "x", {"encrypted": {}}, ContextFailed),
        ("component", "x", {"a": 1}, ContextFailed),
    ],
)
def test_what_cannot_be_kept_is_refused(machine: Make, kind: str, id: str, content: object, error: type[Exception]) -> None:
    context = machine().client().context()
    with pytest.raises(error):
        context.put(kind, id, content)  # type: ignore[arg-type]


def test_help_says_what_the_stubs_say() -> None:
    stub = ast.parse((Path(inspect.getfile(coditect_license)).parent / "_native.pyi").read_text())

    def words(doc: str | None) -> list[str]:
        return (doc or "").replace("``", "`").split()

    compared = 0
    for described in stub.body:
        if not isinstance(described, ast.ClassDef):
            continue
        real = getattr(coditect_license, described.name)
        assert words(real.__doc__) == words(ast.get_docstring(described)), described.name
        for member in described.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                doc = getattr(real, member.name).__doc__
                assert words(doc) == words(ast.get_docstring(member)), f"{described.name}.{member.name}"
                compared += 1
    assert compared > 70


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert __version__ == version("coditect-license")
