"""What a real deployment answers: validation, seats, and what becomes of them when things end."""

from __future__ import annotations

import glob
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from coditect_license import NoSeatsAvailable, Notice, Refused, SeatEnded, Unavailable
from conftest import Cloud, IssuedLicense, Line, Machine

Make = Callable[..., Machine]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def activated(machine: Make, license: IssuedLicense, line: Line | None = None) -> Machine:
    here = machine(line.url if line else license.cloud.url)
    assert here.client().activate(license.key)
    return here


def python(here: Machine, program: str, stdin: int | None = None, **env: str) -> subprocess.Popen[str]:
    """A program in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", f"CLOUD = {here.cloud_url!r}\n{textwrap.dedent(program)}"],
        env={**here.env, **env},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_key_is_validated_once_a_day(cloud: Cloud, line: Line, machine: Make) -> None:
    license = cloud.license("PRO")
    here = machine(line.url)
    verdict = here.client().activate(license.key.lower() + " ")
    assert verdict.license is not None
    assert (verdict.license.tier, verdict.license.source) == ("PRO", "cloud")
    assert "cloud_sync" in verdict.license.features
    assert verdict.license.quotas["commands_per_day"] == -1
    assert verdict.license.refresh_after is not None and verdict.license.grace_until is not None
    assert verdict.license.refresh_after.tzinfo is timezone.utc
    assert timedelta(days=6) < verdict.license.grace_until - datetime.now(timezone.utc) <= timedelta(days=7)

    line.cut = True
    away = here.client()
    again = away.validate()
    assert again.license is not None and again.license.source == "cache" and again.license != verdict.license
    assert away.count_command() is None
    status = away.status()
    assert status.license == again.license and status.license_key is not None
    for said in (repr(verdict), repr(status), repr(away), repr(here.notices), status.license_key):
        assert license.key not in said


def test_a_no_says_why(cloud: Cloud, machine: Make) -> None:
    license = cloud.license("PRO")
    here = activated(machine, license)
    cloud.ops("license", "suspend", license.id)
    other = machine(cloud.url)
    verdict = other.client().activate(license.key)
    assert not verdict and (verdict.state, verdict.reason, verdict.license) == ("invalid", "suspended", None)
    assert verdict.message is not None and repr(verdict) == "Verdict(state='invalid', reason='suspended')"
    with pytest.raises(Refused) as refused:
        here.client().acquire()
    assert refused.value.code == "invalid_license_key" and refused.value.request_id
    assert not isinstance(refused.value, NoSeatsAvailable)


@pytest.mark.parametrize(("days", "said"), [(3, "valid grace PRO True\n"), (8, "lapsed free FREE False\n")])
def test_days_later_without_the_cloud(cloud: Cloud, line: Line, machine: Make, days: int, said: str) -> None:
    here = activated(machine, cloud.license("PRO"), line)
    line.cut = True
    program = """
        from coditect_license import LicenseClient, Unavailable
        notices = []
        verdict = LicenseClient(cloud_url=CLOUD, on_notice=notices.append).validate()
        print(verdict.state, verdict.license.source, verdict.license.tier, "cloud_unavailable" in [notice.code for notice in notices])
        assert bool(verdict) == (verdict.outage is None)
        assert verdict or type(verdict.outage) is Unavailable and str(verdict.outage) == verdict.message
    """
    (faketime,) = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    child = python(here, program, LD_PRELOAD=faketime, FAKETIME=f"+{days}d")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, said, "")


def test_a_seat_is_kept_and_given_back(cloud: Cloud, machine: Make) -> None:
    license = cloud.license(seats=1)
    here = activated(machine, license)
    with here.client() as client:
        seat = client.seat
        assert seat is not None and license.seats_in_use == 1
        assert seat.tier == "TEAM" and "shared_context" in seat.features and seat.quotas["commands_per_day"] == -1
        assert repr(seat.seats) == "SeatCounts(limit=1, in_use=1)" and seat.ended is None
        assert seat.count_command() is None
        first = seat.seat_expires_at
        assert seat.expires_at > first
        assert repr(seat) == f"<Seat TEAM {seat.session_id}>" and seat.license_token not in repr(seat)
        until(lambda: seat.seat_expires_at > first + timedelta(seconds=1))
        with client:
            assert client.seat is not None and client.seat.session_id == seat.session_id
        assert client.seat is seat and license.seats_in_use == 1

        other = activated(machine, license).client()
        with pytest.raises(NoSeatsAvailable) as full:
            other.acquire()
        assert full.value.code == "no_seats_available" and full.value.seats is not None
        assert (full.value.seats.limit, full.value.seats.in_use) == (1, 1)
        assert full.value.retry_after is not None
        begin = time.monotonic()
        with pytest.raises(NoSeatsAvailable):
            other.acquire(wait=1.5)
        assert 1.5 <= time.monotonic() - begin < 15
    assert client.seat is None and license.seats_in_use == 0
    assert repr(seat) == "<Seat released>"
    with pytest.raises(SeatEnded) as released:
        seat.session_id
    assert released.value.code == "seat_released" and seat.ended is not None
    seat.release()
    assert here.notices == []


def test_an_exception_gives_the_seat_back(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    client = activated(machine, license).client()
    with pytest.raises(ZeroDivisionError), client.acquire() as seat:
        assert license.seats_in_use == 1
        1 / 0
    assert license.seats_in_use == 0
    with pytest.raises(SeatEnded), seat:
        pass
    client.acquire()  # kept by nobody
    until(lambda: license.seats_in_use == 0)


def test_who_waits_gets_the_next_seat(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    first = activated(machine, license).client().acquire()
    other = activated(machine, license).client()
    threading.Timer(0.5, first.release).start()
    with other.acquire(wait=timedelta(seconds=30)) as seat:
        assert seat.ended is None and license.seats_in_use == 1
    with pytest.raises(ValueError):
        other.acquire(wait=-1)
    with pytest.raises(TypeError):
        other.acquire(wait="long")  # type: ignore[arg-type]


def test_a_callback_that_raises_ends_no_seat(cloud: Cloud, machine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    license = cloud.license()
    heard: list[tuple[Notice, str]] = []
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: unraisable.append(raised.exc_value))

    def tell(notice: Notice) -> None:
        heard.append((notice, threading.current_thread().name))
        raise RuntimeError("on purpose")

    here = activated(machine, license)
    with here.client(on_notice=tell).acquire() as seat:
        cloud.ops("license", "suspend", license.id)
        until(lambda: seat.ended)
        ended = seat.ended
        assert isinstance(ended, SeatEnded) and ended.code == "session_ended" and ended.reason == "suspended"
        with pytest.raises(SeatEnded, match="This seat has ended"):
            raise ended
        assert repr(seat).endswith("ended>")
    assert [notice.code for notice, _ in heard] == ["seat_ended"]
    assert str(heard[0][0]) == heard[0][0].message == str(ended)
    assert heard[0][1] != threading.main_thread().name
    assert [str(error) for error in unraisable] == ["on purpose"]


def test_a_seat_is_given_back_while_its_callback_runs(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    begun = threading.Event()
    done: list[str] = []

    def slow(notice: Notice) -> None:
        begun.set()
        time.sleep(0.3)
        done.append(notice.code)

    client = activated(machine, license).client(on_notice=slow)
    with client:
        cloud.ops("license", "suspend", license.id)
        assert begun.wait(20)
    assert done == ["seat_ended"]

    begun.clear()
    cloud.ops("license", "resume", license.id)
    seat = client.acquire()
    cloud.ops("license", "suspend", license.id)
    assert begun.wait(20)
    del seat
    assert done == ["seat_ended", "seat_ended"]


def test_a_callback_waits_for_nothing(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    refused: list[str] = []
    done = threading.Event()

    def tell(_: Notice) -> None:
        assert seats[0].ended is not None
        for ask in (client.validate, client.acquire, context.status, seats[0].release, seats[0].count_command):
            with pytest.raises(RuntimeError, match="must not ask"):
                ask()
            refused.append(repr(ask))
        seats.clear()  # the last one who has it
        done.set()

    client = activated(machine, license).client(on_notice=tell)
    context = client.context()
    seats = [client.acquire()]
    cloud.ops("license", "suspend", license.id)
    assert done.wait(20)
    assert len(refused) == 5 and client.validate()


def test_threads_share_a_client(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    client = activated(machine, license).client()
    sessions: list[str] = []

    def work() -> None:
        with client.acquire() as seat:
            sessions.append(seat.session_id)
            all_here.wait(20)

    all_here = threading.Barrier(4)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 4 and len(set(sessions)) == 1 and license.seats_in_use == 0


def test_the_interpreter_goes_on_while_a_thread_waits(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    holder = activated(machine, license).client().acquire()
    other = activated(machine, license).client()
    done = threading.Event()

    def wait() -> None:
        with other.acquire(wait=30):
            done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    turns = 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        turns += 1
    assert turns > 10_000 and not done.is_set()
    holder.release()
    thread.join(30)
    assert done.is_set()


@pytest.mark.parametrize(
    "wait", ["client.acquire(wait=True)", "LicenseClient(cloud_url=f'http://127.0.0.1:{silent}').activate(KEY)"]
)
def test_ctrl_c_ends_the_wait(cloud: Cloud, machine: Make, wait: str) -> None:
    license = cloud.license()
    here = activated(machine, license)
    holder = activated(machine, license).client().acquire()
    program = f"""
        import socket
        from coditect_license import LicenseClient
        KEY = {license.key!r}
        client = LicenseClient(cloud_url=CLOUD)
        listener = socket.create_server(("127.0.0.1", 0))
        silent = listener.getsockname()[1]
        print("waiting", flush=True)
        try:
            {wait}
        except KeyboardInterrupt:
            print("interrupted")
    """
    child = python(here, program)
    assert child.stdout is not None and child.stdout.readline() == "waiting\n"
    time.sleep(0.7)
    begin = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "interrupted\n", "")
    assert time.monotonic() - begin < 3
    holder.release()


def test_the_interpreter_s_end_gives_seats_back(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    here = activated(machine, license)
    program = """
        import sys
        from coditect_license import LicenseClient
        seat = LicenseClient(cloud_url=CLOUD, on_notice=print).acquire()
        sys.forgotten = [seat]
        print(seat.session_id)
        raise SystemExit(3)
    """
    child = python(here, program)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (3, "") and out.strip()
    assert license.seats_in_use == 0


def test_a_forked_child_leaves_the_seat_alone(cloud: Cloud, machine: Make) -> None:
    license = cloud.license()
    here = activated(machine, license)
    program = """
        import os, sys, warnings
        from coditect_license import ForkedProcess, LicenseClient
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about forks of processes with threads
        client = LicenseClient(cloud_url=CLOUD)
        context = client.context()
        with client, client.acquire() as seat:
            child = os.fork()
            if child == 0:
                uses = [client.validate, client.acquire, client.status, client.context, context.sync, context.status,
                        seat.release, seat.count_command, lambda: seat.ended]
                for use in uses:
                    try:
                        use()
                    except ForkedProcess as error:
                        assert error.code == "forked_process"
                    else:
                        os._exit(1)
                assert repr(seat) == "<Seat of another process>"
                with LicenseClient(cloud_url=CLOUD) as own:
                    assert own.seat.ended is None
                sys.exit(0)  # through the blocks, and the interpreter's end
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            print("held", flush=True)
            sys.stdin.readline()
            assert seat.ended is None
    """
    child = python(here, program, stdin=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n", child.communicate()[1]
    assert license.seats_in_use == 1
    out, err = child.communicate("\n", timeout=30)
    assert (child.returncode, out, err) == (0, "", "")
    assert license.seats_in_use == 0


def test_context_travels_between_machines(cloud: Cloud, machine: Make) -> None:
    license = cloud.license(seats=2)
    one, two = (activated(machine, license).client().context() for _ in range(2))
    for context in (one, two):
        context.enable()
        assert context.status().enabled
    one.put("task", "write", {"description": "Write it down", "status": "pending"})
    synced = one.sync()
    assert (synced.sent, synced.refused, synced.hindered) == (1, 0, 0) and repr(synced) == "Synced(sent=1, fetched=1)"
    assert two.sync().fetched == 1
    record = two.get("task", "write")
    assert record is not None and record.content["description"] == "Write it down" and not record.queued
    assert record.version is not None and record.device_id is not None
    status = two.status()
    assert status.waiting == 0 and status.trouble is None and status.last_pull_at is not None


def test_without_the_cloud_a_seat_goes_on(cloud: Cloud, line: Line, machine: Make) -> None:
    here = activated(machine, cloud.license(), line)
    here.client().acquire().release()
    line.cut = True
    with here.client().acquire() as seat:
        assert seat.ended is None and seat.seats is None
        assert timedelta(hours=23) < seat.expires_at - datetime.now(timezone.utc) <= timedelta(hours=24)
        assert [notice.code for notice in here.notices] == ["continuing_offline"]
        with pytest.raises(Unavailable) as lost:
            seat.release()
    assert lost.value.hint
