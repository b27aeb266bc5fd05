//! Runs the command that an agent's settings have, with a harmless option in the place of its verb.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::entry::{self, portable_command};
use super::{AgentHook, AgentSettings};
use crate::child::wait_until;
use crate::input::Input;
use crate::text::lossy;

/// The longest that `--version` may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest text that says why a command can't be run.
const MAX_LEN: usize = 4096;

/// The beginning of the output of `--version`.
const NAME: &str = "coditect ";

/// The hook in a settings file, and whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub settings: PathBuf,
    /// True if the file contains the hook.
    pub installed: bool,
    /// The command that the agent runs.
    pub command: Option<String>,
    /// Why it does not work.
    pub fault: Option<String>,
    /// The command that helps.
    pub hint: Option<String>,
}

impl AgentSettings {
    /// Looks whether the hook is installed, and runs its command with `--version` in the place of its verb.
    pub fn inspect(&self) -> Inspection {
        let settings = self.path().to_owned();
        let (command, covers) = match self.entries() {
            Ok(entries) => {
                (entries.first().map(|entry| entry.command.clone()), entries.iter().any(|entry| entry.covers))
            }
            Err(error) => {
                let (fault, hint) = (Some(error.to_string()), Some(error.hint()));
                return Inspection { settings, installed: false, command: None, fault, hint };
            }
        };
        let portable = command.as_deref().is_some_and(|command| command == portable_command());
        // A path in settings that came from elsewhere may lead to anything.
        let fault = command.as_deref().filter(|_| portable || self.is_own()).and_then(fault);
        let fault = fault.or_else(|| (command.is_some() && !covers).then(entry::not_covered));
        let hint = fault.is_some().then(|| self.repair(command.as_deref()));
        Inspection { settings, installed: command.is_some(), command, fault, hint }
    }

    /// Reports whether the hook was added to the settings from here, or they are the person's own.
    fn is_own(&self) -> bool {
        self.is_personal() || self.is_remembered()
    }

    fn is_personal(&self) -> bool {
        AgentHook::personal_path().is_ok_and(|path| path == self.path())
    }

    /// The command that helps where the entry does not work.
    fn repair(&self, command: Option<&str>) -> String {
        if command.is_some_and(|command| command == portable_command()) {
            return "Add the folder that coditect is in to PATH, where the agent is started.".to_owned();
        }
        if self.is_personal() {
            return "`coditect hook install` renews it.".to_owned();
        }
        format!("`coditect hook install --settings '{}'` renews it.", self.path().display())
    }
}

/// Why the command does not run this program, if it doesn't. It is started without a shell, and not at all where it is more
/// than this program with its options: settings may be another person's.
fn fault(command: &str) -> Option<String> {
    let words = entry::words(command)?;
    let [program, options @ .., _, _] = words.as_slice() else { return None };
    match version(program, options) {
        Ok(says) if says.starts_with(NAME) => None,
        Ok(_) => Some(format!("{program} is another program")),
        Err(fault) => Some(fault),
    }
}

/// Reports whether a program is this one, in this version, or starts it.
pub(super) fn runs_this(program: &Path) -> bool {
    let here = concat!("coditect ", env!("CARGO_PKG_VERSION"));
    program.to_str().is_some_and(|program| version(program, &[]).is_ok_and(|says| says.trim_end() == here))
}

/// Runs a program with `--version`, for a few seconds at most. The error is why that does not work.
fn version(program: &str, options: &[String]) -> Result<String, String> {
    let mut process = Command::new(program);
    process.args(options).arg("--version");
    let mut child = match process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && !program.contains('/') => {
            return Err(format!("{program} is not found in PATH (exit code 127)"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("{program} is not there (exit code 127)"));
        }
        Err(error) => return Err(format!("{program} can't be started: {error}")),
    };
    let until = Instant::now() + TIMEOUT;
    let says = child.stdout.take().map(|pipe| text(pipe, until)).unwrap_or_default();
    match wait_until(until, &mut child).ok().flatten().map(|status| status.code()) {
        None => Err(format!("{program} does not end within {} seconds", TIMEOUT.as_secs())),
        Some(Some(0)) => Ok(says),
        Some(Some(code)) => Err(format!("{program} fails (exit code {code})")),
        Some(None) => Err(format!("{program} is ended by a signal")),
    }
}

/// Reads the output that arrives before the deadline.
fn text(pipe: impl std::os::fd::AsFd, until: Instant) -> String {
    let mut bytes = Vec::new();
    let pipe = Input::new(pipe, until.saturating_duration_since(Instant::now()));
    // The output from before an error is enough.
    let _ = pipe.take(MAX_LEN as u64).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_command_that_does_not_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, script: &str| {
            let path = folder.path().join(name);
            // Another test that starts a process at this moment must not have it open for writing.
            let write = "printf '%s' \"$1\" >\"$0\"; chmod 755 \"$0\"";
            let written = Command::new("sh").args(["-c", write]).arg(&path).arg(script).status();
            assert!(written.unwrap().success());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111);
            path.to_str().unwrap().to_owned()
        };
        let good = program("good", "#!/bin/sh\n[ \"$*\" = \"--home /a b --version\" ] && echo coditect 1.2.3");
        assert_eq!(fault(&entry::command(&good, Some("/a b"))), None);
        let told = |path: &str| fault(&entry::command(path, None)).unwrap_or_default().replace(path, "it");
        assert_eq!(told(&good), "it fails (exit code 1)");
        assert_eq!(told("/no/where/coditect"), "it is not there (exit code 127)");
        assert_eq!(told(&program("other", "#!/bin/sh\necho other")), "it is another program");
        assert_eq!(told(&program("killed", "#!/bin/sh\nkill -9 $$")), "it is ended by a signal");
        assert_eq!(told(folder.path().to_str().unwrap()), "it can't be started: Permission denied (os error 13)");
    }

    #[test]
    fn what_is_more_than_our_command_is_not_started() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        for command in ["coditect; touch MADE; coditect hook task-plan", "coditect $(touch MADE) hook task-plan"] {
            assert_eq!(fault(&command.replace("MADE", made.to_str().unwrap())), None);
        }
        assert!(!made.exists());
    }
}
