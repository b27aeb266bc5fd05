//! The numbers that stand for kinds in the database, as the table `context_kinds` has them.

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
#[must_use]
pub fn of_number(number: i16) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| self::number(*kind) == number)
}
