//! Processor time of a round: that of the function, of Postgres, and of this program.

use std::path::Path;
use std::time::Duration;

/// The clock of `/proc`, which is the same on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes that are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    function: Option<u32>,
    postmaster: u32,
}

/// Processor time, of user and kernel together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) function: Duration,
    pub(crate) postgres: Duration,
    pub(crate) generator: Duration,
}

impl Processes {
    /// Finds the processes of a stack; without a function where none of ours takes part.
    pub(crate) fn of(stack: &Path, function: Option<&str>) -> Self {
        let id = |name: &str| {
            let file = stack.join(format!("run/{name}.pid"));
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let id = text.split_whitespace().next().and_then(|id| id.parse().ok());
            id.unwrap_or_else(|| panic!("{} names no process", file.display()))
        };
        Self { function: function.map(id), postmaster: id("postgres") }
    }

    /// Returns the time that they have used so far.
    pub(crate) fn spent(self) -> Spent {
        Spent {
            function: self.function.and_then(stat).map(|s| s.own).unwrap_or_default(),
            postgres: self.postgres(),
            generator: stat(std::process::id()).map(|s| s.own).unwrap_or_default(),
        }
    }

    /// Returns the time of the postmaster, of its running children, and of those that ended and that it has waited for.
    fn postgres(self) -> Duration {
        let Some(postmaster) = stat(self.postmaster) else { return Duration::ZERO };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = ids.filter_map(stat).filter(|s| s.parent == self.postmaster).map(|s| s.own);
        postmaster.own + postmaster.ended_children + children.sum::<Duration>()
    }
}

impl Spent {
    /// Returns the time that was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            function: self.function.saturating_sub(before.function),
            postgres: self.postgres.saturating_sub(before.postgres),
            generator: self.generator.saturating_sub(before.generator),
        }
    }

    /// Returns the sum of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            function: self.function + other.function,
            postgres: self.postgres + other.postgres,
            generator: self.generator + other.generator,
        }
    }
}

/// Returns the processor time of the children of this program that have ended and were waited for.
pub(crate) fn of_ended_children() -> Duration {
    stat(std::process::id()).map(|s| s.ended_children).unwrap_or_default()
}

struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

fn stat(process: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may contain spaces and brackets.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    let time = |at: usize| Some(Duration::from_secs_f64(f64::from(number(at)? + number(at + 1)?) / TICKS_PER_SECOND));
    Some(Stat { parent: number(1)?, own: time(11)?, ended_children: time(13)? })
}
