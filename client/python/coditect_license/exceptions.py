"""What can go wrong. Every exception is a sentence, with a ``hint`` that names the command to try next."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import SeatCounts


class CoditectError(Exception):
    """What all others are."""

    message: str
    """What happened, as a sentence."""
    code: str
    """The stable word for programs; the cloud's own where the cloud refused."""
    hint: str
    """What to do, with the command that helps. A traceback shows it, too."""

    def __init__(self, message: str, code: str = "unknown", hint: str = "") -> None:
        super().__init__(message, code, hint)
        self.message = message
        self.code = code
        self.hint = hint
        if hint:
            self.__notes__ = [hint]

    def __str__(self) -> str:
        return self.message


class NoLicenseKey(CoditectError):
    """There is no license key on this machine, and nobody is signed in."""


class NotSignedIn(CoditectError):
    """Somebody was signed in, and is no longer."""


class InvalidKey(CoditectError):
    """The text is not a license key."""


class QuotaExceeded(CoditectError):
    """Today's commands are used up."""


class Refused(CoditectError):
    """The cloud answered, and the answer is a no."""

    reason: str | None = None
    """With ``license_inactive`` and ``session_ended``: which state ended it."""
    request_id: str = ""
    """What to tell support."""
    retry_after: timedelta | None = None
    """How long to wait before asking again, if the cloud said."""
    seats: SeatCounts | None = None
    """With ``no_seats_available``: how many there are."""


class NoSeatsAvailable(Refused):
    """All of the license's seats are taken."""


class SeatEnded(Refused):
    """There is no seat any more: the cloud ended it, or could not be reached for as long as its token was good."""


class Unavailable(CoditectError):
    """The cloud did not answer, or cannot at the moment."""

    retry_after: timedelta | None = None
    """How long to wait before asking again, if the cloud said."""


class Untrusted(CoditectError):
    """The cloud's answer is not signed by the cloud."""


class MachineError(CoditectError):
    """Something on this machine is not as it has to be: a file, the keychain, a setting, an address."""


class ContextFailed(CoditectError):
    """Something about the context that is kept here, or its sync."""


class ForkedProcess(CoditectError):
    """A parent's client, seat or context was used in a forked child."""
