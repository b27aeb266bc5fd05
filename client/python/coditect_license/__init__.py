"""The client of CODITECT Cloud: asks whether this machine may run, holds one of the license's seats while it does, and has
the context (tasks, decisions, learnings, messages) on all of a team's machines.

    from coditect_license import LicenseClient

    with LicenseClient() as client:  # a seat, until the block ends
        print(client.seat.tier)
"""

from ._native import (
    Allowance,
    Context,
    LastError,
    License,
    LicenseClient,
    Notice,
    Record,
    Seat,
    SeatCounts,
    Status,
    Synced,
    SyncStatus,
    Verdict,
    __version__,
)
from .exceptions import (
    CoditectError,
    ContextFailed,
    ForkedProcess,
    InvalidKey,
    MachineError,
    NoLicenseKey,
    NoSeatsAvailable,
    NotSignedIn,
    QuotaExceeded,
    Refused,
    SeatEnded,
    Unavailable,
    Untrusted,
)

__all__ = [
    "Allowance",
    "CoditectError",
    "Context",
    "ContextFailed",
    "ForkedProcess",
    "InvalidKey",
    "LastError",
    "License",
    "LicenseClient",
    "MachineError",
    "NoLicenseKey",
    "NoSeatsAvailable",
    "NotSignedIn",
    "Notice",
    "QuotaExceeded",
    "Record",
    "Refused",
    "Seat",
    "SeatCounts",
    "SeatEnded",
    "Status",
    "SyncStatus",
    "Synced",
    "Unavailable",
    "Untrusted",
    "Verdict",
    "__version__",
]
