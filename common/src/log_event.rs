//! Facts: events in the product that operators count.
//!
//! A [`LogEvent`] is recorded once, where it has become true. Each writes one line of the log, `{"fact":"seat_granted", …}`, from
//! which log-based metrics are made, because a process that scales to zero can't be scraped; and each is counted for
//! [`crate::metrics`] where those are on. `docs/observability.md` is generated from this file.

pub(crate) mod description;

use uuid::Uuid;

use description::Value;
pub use description::{Description, Field, Kind};

/// The `tracing` target of the lines, which are written whatever `RUST_LOG` says.
pub(crate) const TARGET: &str = "fact";

macro_rules! value_type {
    (Label) => { &'a str };
    (Id) => { Uuid };
    (Number) => { u64 };
    (Count) => { u64 };
    (Level) => { u64 };
    ($seconds_or_share:ident) => { f64 };
}

macro_rules! value_of {
    (Label, $value:expr) => {
        Value::Label($value)
    };
    (Id, $value:expr) => {{
        let _ = $value;
        Value::Id
    }};
    ($number:ident, $value:expr) => {
        Value::Number(*$value as f64)
    };
}

macro_rules! logged {
    (Id, $value:expr) => {
        tracing::field::display($value)
    };
    ($other:ident, $value:expr) => {
        *$value
    };
}

macro_rules! facts {
    ($($(#[doc = $meaning:literal])+ $fact:ident = $name:literal {
        $($(#[doc = $of:literal])+ $field:ident: $kind:ident,)+
    })+) => {
        /// Something that happened.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum LogEvent<'a> {
            $($(#[doc = $meaning])+ $fact {
                $($(#[doc = $of])+ $field: value_type!($kind),)+
            },)+
        }

        /// Every fact, in the order of the reference.
        pub static ALL: &[Description] = &[$(Description {
            name: $name,
            meaning: concat!($($meaning),+),
            fields: &[$(Field { name: stringify!($field), kind: Kind::$kind, meaning: concat!($($of),+) },)+],
        },)+];

        impl LogEvent<'_> {
            /// Records it: writes its line and counts it. To be called once, when it has become true.
            pub fn emit(&self) {
                self.measure();
                match self {
                    $(Self::$fact { $($field),+ } => {
                        tracing::info!(
                            target: TARGET, fact = $name, $($field = logged!($kind, $field),)+ "{}", concat!($($meaning),+).trim()
                        );
                    })+
                }
            }

            /// Counts it for metrics alone, without a line of the log: for levels that are looked up at every read.
            #[expect(clippy::cast_precision_loss, reason = "metrics count in floating point")]
            pub fn measure(&self) {
                match self {
                    $(Self::$fact { $($field),+ } => crate::metrics::count($name, &[$(value_of!($kind, $field)),+]),)+
                }
            }
        }
    };
}

facts! {
    /// A holder got a seat, or has it already.
    SeatGranted = "seat_granted" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// `new`, or `known`: the holder asked again for the seat that it had.
        session: Label,
        /// The license's seats.
        limit: Number,
        /// Seats in use, this one included.
        in_use: Number,
        /// The part of the seats that is in use.
        used: Share,
    }
    /// A caller got no seat.
    SeatDenied = "seat_denied" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// `full`, `installation_full` (an enterprise license's users), or the license's state: `suspended`, `revoked`, `expired`
        /// or `subscription_inactive`.
        reason: Label,
        /// The license's seats.
        limit: Number,
    }
    /// Seats without a heartbeat in time passed to other holders.
    SeatExpired = "seat_expired" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// Number of seats.
        seats: Count,
    }
    /// A plan's seats were counted, over all licenses that can be used: by `ops seat usage`, or for `/metrics`.
    SeatsInUse = "seats_in_use" {
        /// The plan's code.
        plan: Label,
        /// Number of licenses of the plan.
        licenses: Number,
        /// Seats of these licenses.
        limit: Level,
        /// Seats in use.
        in_use: Level,
        /// The part of the seats that is in use.
        used: Share,
    }
    /// The sessions of a license that Redis did not know were restored from Postgres.
    SeatsRestored = "seats_restored" {
        /// The license.
        license: Id,
        /// `applied`, or `outdated`: a later restore was there first.
        outcome: Label,
        /// Number of restored sessions; 0 at a license's first use.
        sessions: Count,
        /// Duration of the restore.
        seconds: Latency,
    }
    /// A caller asked whether a license key may be used.
    Validated = "validated" {
        /// The plan's code; `none` where the key belongs to no license.
        plan: Label,
        /// `valid`, or the reason why not, as clients receive it.
        outcome: Label,
    }
    /// A token was signed, or its signing failed.
    Signed = "signed" {
        /// Keeper of the key: `kms` or `file`.
        keeper: Label,
        /// `made` or `failed`.
        outcome: Label,
        /// Duration of the signing, with all attempts.
        seconds: Latency,
    }
    /// An event of Stripe was received.
    StripeEvent = "stripe_event" {
        /// The event's type, in Stripe's words.
        kind: Label,
        /// `applied`, `known`, `waiting`, `failed` or `ignored`.
        outcome: Label,
        /// Time since the event happened.
        lag_seconds: Age,
    }
    /// The delivery of an outbox entry was attempted.
    OutboxTried = "outbox_tried" {
        /// `mail` or `seats`.
        kind: Label,
        /// `delivered`, `put_off` or `given_up`.
        outcome: Label,
        /// Number of the attempt.
        attempt: Number,
        /// Age of the entry.
        age_seconds: Age,
    }
    /// A round of deliveries from the outbox has ended.
    OutboxRound = "outbox_round" {
        /// `done`, or `broken`: the database or the output went away.
        outcome: Label,
        /// Number of entries that were delivered.
        delivered: Number,
        /// Number of entries that were not delivered.
        failed: Number,
    }
    /// The entries of the outbox were counted: after each round of deliveries, or for `/metrics`.
    OutboxLevel = "outbox_level" {
        /// Number of entries that wait to be delivered.
        waiting: Level,
        /// Age of the oldest waiting entry.
        oldest_seconds: Level,
        /// Number of entries that were given up, and wait for an operator.
        dead: Level,
    }
    /// Records were pushed to the cloud.
    ContextPushed = "context_pushed" {
        /// Number of records that were new or changed something, deletions included.
        records: Count,
        /// Number of records that the cloud had already.
        duplicates: Count,
        /// Number of records that conflicted with another change of the same record.
        conflicts: Count,
        /// Number of records that were refused.
        rejected: Count,
        /// The size of the push, decompressed.
        bytes: Count,
    }
    /// Records were pulled from the cloud; a poll that found nothing new is not recorded.
    ContextPulled = "context_pulled" {
        /// Number of records.
        records: Count,
        /// The size of the page, not compressed.
        bytes: Count,
    }
    /// A license was issued.
    LicenseCreated = "license_created" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// `stripe` or `operator`.
        by: Label,
        /// The license's seats.
        seats: Number,
    }
    /// A license can't be used any more.
    LicenseStopped = "license_stopped" {
        /// The license.
        license: Id,
        /// `inactive` (not paid), `refunded` or `disputed` by Stripe; `suspended` or `revoked` by an operator.
        reason: Label,
        /// `stripe` or `operator`.
        by: Label,
    }
    /// A credential was refused, or a right was missing.
    AccessRefused = "access_refused" {
        /// The problem's code: `invalid_token`, `invalid_license_key`, `invalid_signature`, `forbidden` or `rate_limited`.
        code: Label,
        /// The route.
        route: Label,
    }
}
