//! The table of rates.

use super::round::Measured;
use crate::table::{ms, rate, table};

/// Rows, as they come.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<Vec<String>>);

impl Rows {
    /// What was measured, beside what the machine does without us.
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// As text.
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
