//! What happened in the product, as operators count it.
//!
//! A [`Fact`] is told once, where it has become true. Each writes one line of the log, `{"fact":"seat_granted", …}`, from
//! which log-based metrics are made, because a process that scales to zero can't be asked; and each is counted for
//! [`crate::metrics`] where those are on. `docs/observability.md` is made of what is written here.

use uuid::Uuid;

/// The target of the lines, which are written whatever `RUST_LOG` says.
pub(crate) const TARGET: &str = "fact";

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of few words: a label of the fact's metrics.
    Label,
    /// Which thing it happened to: in the log only.
    Id,
    /// A number to read: in the log only.
    Number,
    /// A number to add up.
    Count,
    /// Seconds that somebody waited: a distribution.
    Latency,
    /// Seconds that something lay about: a distribution over hours.
    Age,
    /// A part of 1: a distribution.
    Share,
    /// Where something stands when it is looked at: a gauge.
    Level,
}

/// A fact's field, for metrics and for the reference.
#[derive(Debug)]
pub struct Field {
    /// Its name in the log.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
}

/// A fact, for metrics and for the reference.
#[derive(Debug)]
pub struct Description {
    /// Its name in the log.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field's value, as metrics take it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Label(&'a str),
    Number(f64),
    Id,
}

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
        pub enum Fact<'a> {
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

        impl Fact<'_> {
            /// Tells it: once it is true, and once.
            pub fn tell(&self) {
                self.measure();
                match self {
                    $(Self::$fact { $($field),+ } => {
                        tracing::info!(
                            target: TARGET, fact = $name, $($field = logged!($kind, $field),)+ "{}", concat!($($meaning),+).trim()
                        );
                    })+
                }
            }

            /// Counts it for metrics alone: what is looked up whenever somebody reads them is no line of the log.
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
    /// A holder has a seat.
    SeatGranted = "seat_granted" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// `new`, or `known`: it asked again for the seat that it had.
        session: Label,
        /// The license's seats.
        limit: Number,
        /// How many are in use, this one included.
        in_use: Number,
        /// The part of the seats that is in use.
        used: Share,
    }
    /// Somebody got no seat.
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
    /// Seats whose holders had fallen silent passed to others.
    SeatExpired = "seat_expired" {
        /// The license.
        license: Id,
        /// The plan's code.
        plan: Label,
        /// How many.
        seats: Count,
    }
    /// A plan's seats were counted, over all licenses that can be used: by `ops seat usage`, or for `/metrics`.
    SeatsInUse = "seats_in_use" {
        /// The plan's code.
        plan: Label,
        /// How many licenses of the plan there are.
        licenses: Number,
        /// Their seats.
        limit: Level,
        /// How many of them are taken.
        in_use: Level,
        /// The part that is.
        used: Share,
    }
    /// Redis knew nothing of a license, and was told by Postgres.
    SeatsRestored = "seats_restored" {
        /// The license.
        license: Id,
        /// `applied`, or `outdated`: a later restore was there first.
        outcome: Label,
        /// How many sessions came back; none at a license's first use.
        sessions: Count,
        /// How long it took.
        seconds: Latency,
    }
    /// Somebody asked whether a license key may be used.
    Validated = "validated" {
        /// The plan's code; `none` where nobody's key was asked about.
        plan: Label,
        /// `valid`, or the reason why not, as clients are told it.
        outcome: Label,
    }
    /// A token was to be signed.
    Signed = "signed" {
        /// Who keeps the key: `kms` or `file`.
        keeper: Label,
        /// `made` or `failed`.
        outcome: Label,
        /// How long it took, with all attempts.
        seconds: Latency,
    }
    /// An event of Stripe was taken.
    StripeEvent = "stripe_event" {
        /// The event's type, in Stripe's words.
        kind: Label,
        /// `applied`, `known`, `waiting`, `failed` or `ignored`.
        outcome: Label,
        /// How long after it happened.
        lag_seconds: Age,
    }
    /// An entry of the outbox was tried.
    OutboxTried = "outbox_tried" {
        /// `mail` or `seats`.
        kind: Label,
        /// `delivered`, `put_off` or `given_up`.
        outcome: Label,
        /// Which attempt it was.
        attempt: Number,
        /// How old the entry was.
        age_seconds: Age,
    }
    /// The outbox was gone through.
    OutboxRound = "outbox_round" {
        /// `done`, or `broken`: the database or the output went away.
        outcome: Label,
        /// How many entries were delivered.
        delivered: Number,
        /// How many were not.
        failed: Number,
    }
    /// What has to be delivered was counted: after each round of the outbox, or for `/metrics`.
    OutboxLevel = "outbox_level" {
        /// How many entries wait to be delivered.
        waiting: Level,
        /// How old the oldest of them is.
        oldest_seconds: Level,
        /// How many were given up, and wait for somebody.
        dead: Level,
    }
    /// Records came to the cloud.
    ContextPushed = "context_pushed" {
        /// How many were new or changed something, deletions included.
        records: Count,
        /// How many were there already.
        duplicates: Count,
        /// How many met another change of the same record.
        conflicts: Count,
        /// How many were refused.
        rejected: Count,
        /// The size of the push, decompressed.
        bytes: Count,
    }
    /// Records left the cloud; a poll that found nothing new is not told.
    ContextPulled = "context_pulled" {
        /// How many.
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
        /// Its seats.
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
