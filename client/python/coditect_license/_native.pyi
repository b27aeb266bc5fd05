from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, final

from .exceptions import SeatEnded, Unavailable

__all__ = [
    "Allowance",
    "Context",
    "LastError",
    "License",
    "LicenseClient",
    "Notice",
    "Record",
    "Seat",
    "SeatCounts",
    "Status",
    "SyncStatus",
    "Synced",
    "Verdict",
    "__version__",
]

__version__: Final[str]

_Kind = Literal[
    "message", "task", "decision", "skill_learning", "error_solution", "tool_analytics", "project_context", "component"
]
_Tier = Literal["FREE", "PRO", "TEAM", "BUSINESS", "ENTERPRISE"]

@final
class LicenseClient:
    """Asks the cloud on behalf of one machine, and remembers what it said.

    Arguments that are not passed come from the environment and the home folder, as for the command line. Threads may share a client.
    As a context manager it holds a seat: ``with LicenseClient() as client`` takes one, and gives it back at the end.
    """

    def __new__(
        cls,
        *,
        home: str | PathLike[str] | None = None,
        cloud_url: str | None = None,
        profile: str | None = None,
        hardware_id: str | None = None,
        on_notice: Callable[[Notice], object] | None = None,
    ) -> LicenseClient:
        """``on_notice`` is told what nobody asked for: that the cloud is away, that a seat has ended. It is called from other
        threads, too, in the middle of an answer, and must not ask the client in turn; what it raises goes to
        ``sys.unraisablehook``.

        Raises ``MachineError`` for a home folder, an address or a profile that cannot be used.
        """

    @property
    def home(self) -> Path:
        """The folder in which everything is kept."""

    @property
    def profile(self) -> str:
        """The home folder."""

    @property
    def cloud_url(self) -> str:
        """Where the cloud is."""

    @property
    def hardware_id(self) -> str:
        """This machine's id."""

    @property
    def seat(self) -> Seat | None:
        """The seat of the ``with`` statement that is under way."""

    def validate(self) -> Verdict:
        """Returns the license of this machine and its limits.

        An answer of the last 24 hours is used without a call. While the cloud cannot be reached, the last answer serves for
        7 days from when it was made. Without a license key the answer is the one of the signed-in user's seat, and the
        free tier if no user is signed in.
        """

    def activate(self, key: str) -> Verdict:
        """Validates a license key on this machine; stores it and the answer if it is valid.

        Raises ``InvalidKey`` for what is no key, without a call, and ``Unavailable``: an activation has no grace.
        """

    def status(self) -> Status:
        """Returns the state of this machine, without asking the cloud."""

    def count_command(self) -> Allowance | None:
        """Counts a command of today, where the license limits them; ``None`` where it does not.

        Raises ``QuotaExceeded`` when today's are used up.
        """

    def acquire(self, *, wait: bool | float | timedelta = False) -> Seat:
        """Takes a seat of the signed-in user, else of the license key's license: ``with client.acquire() as seat``.

        While all are taken, ``wait`` says how long to wait for one: seconds, a ``timedelta``, or ``True`` for as long as it
        takes. While the cloud cannot be reached, the last license token of this machine serves, as long as it is good.

        Raises ``NoSeatsAvailable``, ``NoLicenseKey``, ``NotSignedIn``, ``Refused`` when the license is not active, and
        ``Unavailable``.
        """

    def context(self) -> Context:
        """The context that is kept in this client's home folder, and its sync with this client's cloud."""

    def __enter__(self) -> LicenseClient: ...
    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class Seat:
    """One of the license's simultaneous uses, until the ``with`` block ends, or ``release`` is called.

    A thread keeps it, and goes on trying while the cloud is away, until the license token ends. After it was given back, what
    is asked of it raises ``SeatEnded``.
    """

    @property
    def session_id(self) -> str:
        """Id of the session in the cloud. It changes when a lost seat is taken again."""

    @property
    def license_token(self) -> str:
        """The proof that is checked offline. It is a secret, and is renewed from time to time."""

    @property
    def expires_at(self) -> datetime:
        """Until when the license token, and so this seat, serves without the cloud."""

    @property
    def seat_expires_at(self) -> datetime:
        """When the seat is free for others, unless a heartbeat comes before."""

    @property
    def tier(self) -> _Tier:
        """The license's tier."""

    @property
    def features(self) -> frozenset[str]:
        """Features of the plan."""

    @property
    def quotas(self) -> Mapping[str, int]:
        """The plan's limits by name; -1 is none."""

    @property
    def seats(self) -> SeatCounts | None:
        """Number of seats of the license when this one was taken, if the cloud has reported it."""

    @property
    def ended(self) -> SeatEnded | None:
        """Why there is no seat any more, to be raised or shown; ``None`` while there is."""

    def count_command(self) -> Allowance | None:
        """Counts a command of today, where this seat's plan limits them; ``None`` where it does not.

        Raises ``QuotaExceeded`` when today's are used up.
        """

    def release(self) -> None:
        """Gives the seat back now. Raises ``Unavailable`` when the cloud does not hear of it: then the seat comes free by
        itself within minutes. Again, it does nothing."""

    def __enter__(self) -> Seat: ...
    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class SeatCounts:
    """Seats of a license: all, and those that are taken."""

    @property
    def limit(self) -> int:
        """All of them."""

    @property
    def in_use(self) -> int:
        """Those taken. They may be more, after a plan has shrunk."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class License:
    """The license in use: tier, features and limits."""

    @property
    def tier(self) -> _Tier:
        """The plan's rank."""

    @property
    def features(self) -> frozenset[str]:
        """Features of the plan, such as ``"cloud_sync"``."""

    @property
    def quotas(self) -> Mapping[str, int]:
        """Its limits by name, such as ``"commands_per_day"``; -1 is none."""

    @property
    def source(self) -> Literal["cloud", "cache", "grace", "seat", "free"]:
        """On whose word: the cloud's just now, of the last day, of the last week while it cannot be asked; the last seat's,
        where a user is signed in; or of none."""

    @property
    def refresh_after(self) -> datetime | None:
        """When the cloud will be asked again; ``None`` without a key."""

    @property
    def grace_until(self) -> datetime | None:
        """Until when this serves if the cloud cannot be asked; ``None`` without a key."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Verdict:
    """The answer to "may I run?". It is true if it is a yes."""

    @property
    def state(self) -> Literal["valid", "invalid", "lapsed"]:
        """``lapsed``: the cloud cannot be asked, and nothing that it said before still serves; the free tier applies."""

    @property
    def valid(self) -> bool:
        """True if the license is valid."""

    @property
    def license(self) -> License | None:
        """The license in use, the free tier where it has lapsed, ``None`` where it is not valid."""

    @property
    def reason(self) -> str | None:
        """Why it is not valid, as a word for programs, such as ``"expired"``."""

    @property
    def message(self) -> str | None:
        """Why it is no yes, as a sentence."""

    @property
    def outage(self) -> Unavailable | None:
        """Why the cloud cannot be asked, where it has lapsed."""

    def __bool__(self) -> bool: ...

@final
class Allowance:
    """The commands of a day, where they are limited."""

    @property
    def limit(self) -> int:
        """Number allowed a day."""

    @property
    def used(self) -> int:
        """Number used."""

    @property
    def left(self) -> int:
        """Number left."""

    @property
    def next_day_at(self) -> datetime:
        """When the next day begins: midnight on this machine."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class LastError:
    """Last error in a home folder: ``str(error)`` is a sentence."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def code(self) -> str:
        """The stable word for programs."""

    @property
    def message(self) -> str:
        """The sentence."""

@final
class Status:
    """State of this machine."""

    @property
    def signed_in_as(self) -> str | None:
        """The signed-in user. Seats are taken for this user, whether there is a license key or not."""

    @property
    def license_key(self) -> str | None:
        """The license key's beginning, if one has been activated."""

    @property
    def license(self) -> License | None:
        """The license in use; ``None`` if the last answer is no longer valid."""

    @property
    def commands_today(self) -> Allowance | None:
        """The commands of today, where they are limited."""

    @property
    def seat_token_until(self) -> datetime | None:
        """Until when the last seat's token lets a program start while the cloud is away."""

    @property
    def sync(self) -> SyncStatus | None:
        """State of the sync; ``None`` where there is no context, or none that can be read."""

    @property
    def last_error(self) -> LastError | None:
        """Last error."""

    @property
    def cloud_url(self) -> str:
        """Where the cloud is."""

    @property
    def hardware_id(self) -> str:
        """This machine's id."""

    @property
    def home(self) -> Path:
        """The folder in which everything is kept."""

@final
class Notice:
    """Something worth telling: ``str(notice)`` is a sentence."""

    @property
    def code(self) -> str:
        """The stable word for programs, such as ``"seat_ended"``."""

    @property
    def message(self) -> str:
        """The sentence."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Context:
    """Tasks, decisions, learnings and messages, on this machine. It needs no license key and no cloud, except to sync.

    Every method raises ``ContextFailed`` for what cannot be kept, and ``ValueError`` for a kind that there is not.
    """

    def put(self, kind: _Kind, id: str, content: Mapping[str, Any], *, project_id: str | None = None) -> bool:
        """The record is to be this: kept before it returns, and queued to be sent. Returns true if that is a change."""

    def get(self, kind: _Kind, id: str) -> Record | None:
        """A record as it is seen here; ``None`` where there is none, or it was deleted."""

    def list(
        self, kind: _Kind, *, project_id: str | None = None, status: str | None = None, limit: int = 100
    ) -> list[Record]:
        """The records of a kind, the latest change first; those of a project, or with a ``status``, only."""

    def delete(self, kind: _Kind, id: str) -> bool:
        """Queues a record's deletion. Returns true if there was such a record."""

    def enable(self, on: bool = True) -> None:
        """Turns the sync on, or off. It is off until the person has turned it on."""

    def sync(self) -> Synced:
        """Sends what waits, and fetches what is new. Raises ``Unavailable`` and ``Refused``; nothing is lost then."""

    def status(self) -> SyncStatus:
        """Returns the state of the sync, without asking the cloud."""

@final
class Record:
    """A record as a person sees it: with what was changed here and is not sent yet."""

    @property
    def kind(self) -> _Kind:
        """Kind of the record."""

    @property
    def id(self) -> str:
        """Which one of its kind."""

    @property
    def project_id(self) -> str | None:
        """The project it belongs to, if any."""

    @property
    def content(self) -> dict[str, Any]:
        """Content of the record."""

    @property
    def version(self) -> int | None:
        """The version in the cloud that it is, or was made from; ``None`` if the cloud has none as far as is known here."""

    @property
    def updated_at(self) -> datetime:
        """When it was changed, by the clock of its device."""

    @property
    def device_id(self) -> str | None:
        """The device it was changed on; ``None`` for this one, while the change is queued."""

    @property
    def queued(self) -> bool:
        """True if this is a change that the cloud does not have yet."""

    @property
    def locked(self) -> bool:
        """True if the content is encrypted with a key that is not here; then it is as it came."""

@final
class Synced:
    """Result of a sync."""

    @property
    def sent(self) -> int:
        """Number of changes that the cloud has accepted."""

    @property
    def fetched(self) -> int:
        """Number of records received, those that were sent from here among them."""

    @property
    def refused(self) -> int:
        """Number of changes that were refused for a fault of their own."""

    @property
    def conflicts_lost(self) -> int:
        """Number of changes that lost against a later one that was made elsewhere. They are in their records' history."""

    @property
    def hindered(self) -> int:
        """Number of changes that were not accepted for a reason that is not theirs, and still wait."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class SyncStatus:
    """State of the sync, as far as is known without asking the cloud."""

    @property
    def enabled(self) -> bool:
        """True if it is turned on."""

    @property
    def waiting(self) -> int:
        """Number of changes that wait to be sent."""

    @property
    def parked(self) -> int:
        """Number of changes that are not sent any more until they are retried."""

    @property
    def last_push_at(self) -> datetime | None:
        """When everything that waited was last sent."""

    @property
    def last_pull_at(self) -> datetime | None:
        """When everything that was new was last fetched."""

    @property
    def trouble(self) -> str | None:
        """Why the last sync did not get through, as a sentence."""
