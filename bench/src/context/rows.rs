//! The table of rates.

use super::round::Measured;
use crate::table::{ms, rate, table};

/// Rows in the order in which they are added.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<Vec<String>>);

impl Rows {
    /// Adds a row with a measurement, and its share of what the machine does without our functions.
    pub(crate) fn add(&mut self, what: &str, m: &Measured, raw: Option<&Measured>) {
        let micros = |time: f64| if time == 0.0 { String::new() } else { format!("{time:.1}") };
        let [function, postgres, generator] = m.micros_per_record();
        self.0.push(vec![
            what.to_owned(),
            rate(m.rate()),
            raw.map(|raw| format!("{:.0} %", 100.0 * m.rate() / raw.rate())).unwrap_or_default(),
            ms(m.percentile(0.5)),
            ms(m.percentile(0.99)),
            micros(function),
            micros(postgres),
            micros(generator),
            m.errors.to_string(),
        ]);
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Formats the rows as a table.
    pub(crate) fn table(self) -> String {
        let header = [
            "records of 500 bytes",
            "per second",
            "of raw",
            "p50",
            "p99",
            "function µs",
            "Postgres µs",
            "generator µs",
            "errors",
        ];
        table(&header, self.0)
    }
}
