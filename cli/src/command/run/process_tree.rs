//! The processes that a command has started, and those that they have.
//!
//! On Linux all of them are found, since a process whose parent has ended becomes ours ([`become_subreaper`]). Elsewhere only the
//! command itself is.

use rustix::process::Pid;

/// Makes this process the parent of descendants whose parent has ended, in place of the system's first process.
pub(super) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    // A kernel that can't leaves it as it is elsewhere.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Returns all descendants that are alive.
#[cfg(target_os = "linux")]
pub(super) fn descendants() -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let all: Vec<Process> = processes.filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?)).collect();
    let mut found = vec![rustix::process::getpid().as_raw_pid()];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.id));
        next += 1;
    }
    found.drain(..1);
    found.into_iter().filter_map(Pid::from_raw).collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn descendants() -> Vec<Pid> {
    Vec::new()
}

#[cfg(target_os = "linux")]
struct Process {
    id: i32,
    parent: i32,
}

#[cfg(target_os = "linux")]
impl Process {
    /// Reads a process from `/proc`. None for a name that is no process, or one that has ended.
    fn read(name: &str) -> Option<Self> {
        let id = name.parse().ok()?;
        let text = std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        // `1 (any name at all) S 0 …`
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        (state != "Z").then_some(Self { id, parent })
    }
}
