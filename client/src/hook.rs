//! What an agent calls after each use of a tool, so that its plan becomes task records: `coditect hook task-plan`.
//!
//! The agent waits for it, so it writes one transaction to the local queue and nothing else: no network, no key, no id of
//! the machine. It reads the agent's own list rather than one of its own: what the agent listed before, and lists the same
//! now, is not written again, so that what a person said about a task meanwhile stays.
//!
//! | the agent says | the record |
//! |---|---|
//! | a todo in its list | id from the session and the words (or the agent's own id), status as listed |
//! | a todo left the list unfinished | status `dropped`: given up, or put in other words; nothing is deleted |
//! | `TaskCreate`, `TaskUpdate` | id `SESSION:TASK`; what is not said stays |
//!
//! Nothing of the agent's input is kept but a task's words, its status and its priority, and of the folder that it works in
//! the project's name and a digest (`hook/project.rs`).
//!
//! An agent is never disturbed: what goes wrong is written down ([`AgentHook::trouble`]) and shown by
//! `coditect hook status`.

mod document;
mod entry;
mod error;
mod event;
mod mend;
mod probe;
mod program;
mod project;
mod scan;
mod settings;
mod task_plan;
mod trouble;

pub use error::HookError;
pub use probe::Inspection;
pub use settings::{AgentSettings, Installed};
pub use trouble::Trouble;

use std::path::{Path, PathBuf};

use crate::home::Home;
use crate::{Config, Error, environment};

/// An agent's settings, below a project's folder.
const PROJECT_SETTINGS: &str = ".claude/settings.json";

/// An agent's settings, in its own folder.
const SETTINGS: &str = "settings.json";

/// The hook of one home folder.
///
/// ```
/// use coditect::hook::AgentHook;
/// use coditect::{ContextStore, Filter, Kind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// // What an agent writes to its hook's standard input.
/// let event = r#"{
///     "hook_event_name": "PostToolUse", "tool_name": "TodoWrite", "session_id": "s1", "cwd": "/",
///     "tool_input": {"todos": [{"content": "Write it down", "status": "in_progress"}]}
/// }"#;
/// assert_eq!(AgentHook::open(Some(home.clone()))?.task_plan(event.as_bytes())?, 1);
///
/// let tasks = ContextStore::open(Some(home))?.list(Kind::Task, &Filter::default())?;
/// assert_eq!(tasks[0].content["description"], "Write it down");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AgentHook {
    home: Home,
}

impl AgentHook {
    /// That of this folder; else of `CODITECT_HOME`, else of `~/.coditect`.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self { home: Config::open(home)?.home().clone() })
    }

    /// The agent's settings for all of a person's projects: in `CLAUDE_CONFIG_DIR`, else in `~/.claude`.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn personal_settings(&self) -> Result<AgentSettings, Error> {
        Ok(self.settings(Self::personal_path()?))
    }

    fn personal_path() -> Result<PathBuf, Error> {
        let folder = environment::agents_folder().ok_or(Error::NoHome)?;
        let folder = std::path::absolute(&folder).map_err(|cause| Error::file(&folder, cause))?;
        Ok(folder.join(SETTINGS))
    }

    /// The agent's settings for a project alone.
    pub fn project_settings(&self, project: &Path) -> AgentSettings {
        self.settings(project.join(PROJECT_SETTINGS))
    }

    /// The agent's settings in a file.
    pub fn settings(&self, path: PathBuf) -> AgentSettings {
        AgentSettings::new(self.home.clone(), path)
    }

    /// The settings files that the hook was added to from here, as far as is remembered.
    ///
    /// # Errors
    /// When the home folder can't be read.
    pub fn installed(&self) -> Result<Vec<AgentSettings>, Error> {
        Ok(settings::known(&self.home)?.into_iter().map(|path| self.settings(path)).collect())
    }

    /// The path of this program that stays when a package or version manager updates it: by which it is found in `PATH`, also
    /// as a script that starts it, else by which it was started.
    ///
    /// # Errors
    /// When the operating system doesn't say where it is.
    pub fn program() -> Result<PathBuf, Error> {
        let found = std::env::current_exe().map_err(|cause| Error::File { path: "this program".into(), cause })?;
        let started_as = std::env::args_os().next();
        Ok(program::stable(&found, started_as.as_deref(), environment::path().as_deref(), probe::runs_this))
    }

    /// The command for settings that several people have: this program by its name in `PATH`. Where it isn't installed, the
    /// command does nothing.
    pub fn portable_command() -> String {
        entry::portable_command()
    }

    /// The command that an agent is to run: this program, which is told the home folder if that was named.
    ///
    /// # Errors
    /// When the path has characters that no settings file can hold.
    pub fn command(program: &Path, home: Option<&Path>) -> Result<String, Error> {
        let text = |path: &Path| {
            let absolute = std::path::absolute(path).map_err(|cause| Error::file(path, cause))?;
            let text = absolute.to_str().map(str::to_owned);
            text.ok_or_else(|| Error::from(HookError::Path { path: absolute }))
        };
        Ok(entry::command(&text(program)?, home.map(text).transpose()?.as_deref()))
    }

    /// What last went wrong while an agent was being heard, if something did.
    ///
    /// # Errors
    /// When the home folder can't be read.
    pub fn trouble(&self) -> Result<Option<Trouble>, Error> {
        trouble::read(&self.home)
    }
}
