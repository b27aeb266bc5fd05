//! Refusals: problem documents of the cloud.

use std::fmt;

use protocol::problem::ProblemDocument;

/// A problem document, and the text it came as.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refusal {
    /// The cloud's problem document.
    pub problem: ProblemDocument,
    /// Its JSON, unchanged, for callers that print it.
    pub raw: String,
}

impl Refusal {
    /// Returns the refusal in an answer; none where it is no problem document.
    pub fn parse(answer: &str) -> Option<Self> {
        let problem = serde_json::from_str(answer).ok()?;
        Some(Self { problem, raw: answer.to_owned() })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, detail) = (&self.problem.title, &self.problem.detail);
        // The detail describes this occurrence; the title is used where a server left it out.
        f.write_str(if detail.is_empty() { title } else { detail })
    }
}
