//! Descriptions of facts and their fields, for metrics and for the reference.

/// Kind of a field, which decides its use in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of few words: a label of the fact's metrics.
    Label,
    /// The id of the thing it happened to: in the log only.
    Id,
    /// A number to read: in the log only.
    Number,
    /// A number to add up: a counter.
    Count,
    /// Seconds that a caller waited: a distribution.
    Latency,
    /// Age of a thing in seconds: a distribution over hours.
    Age,
    /// A fraction of 1: a distribution.
    Share,
    /// A current number: a gauge.
    Level,
}

/// A fact's field, for metrics and for the reference.
#[derive(Debug)]
pub struct Field {
    /// Its name in the log.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its meaning.
    pub meaning: &'static str,
}

/// A fact, for metrics and for the reference.
#[derive(Debug)]
pub struct Description {
    /// Its name in the log.
    pub name: &'static str,
    /// Its meaning.
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
