//! The numbers that stand for kinds in the database, as the table `context_kinds` has them.

use common::Problem;
use protocol::wire::Kind;

/// The number of a kind.
#[must_use]
pub const fn number(kind: Kind) -> i16 {
    match kind {
        Kind::Message => 1,
        Kind::Task => 2,
        Kind::Decision => 3,
        Kind::SkillLearning => 4,
        Kind::ErrorSolution => 5,
        Kind::ToolAnalytics => 6,
        Kind::ProjectContext => 7,
        Kind::Component => 8,
    }
}

/// The kind of a number.
///
/// # Errors
/// `500` when there is none: the row is of a later release, or damaged.
pub fn of_number(number: i16) -> Result<Kind, Problem> {
    let kind = Kind::ALL.iter().copied().find(|kind| self::number(*kind) == number);
    kind.ok_or_else(|| Problem::internal_error(format_args!("there is no kind {number}")))
}
