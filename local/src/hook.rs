//! Hook that an agent calls after each use of a tool, so that its plan becomes task records: `coditect hook task-plan`.
//!
//! The agent waits for the hook, so it writes one transaction to the local queue and nothing else: no network, no key, no
//! machine id. It compares with the agent's own previous list rather than with one of its own: a task that the agent lists
//! unchanged is not written again, so that a user's edits to it are kept.
//!
//! | the agent says | the record |
//! |---|---|
//! | a todo in its list | id from the session and the words (or the agent's own id), status as listed |
//! | a todo left the list unfinished | status `dropped`: given up, or put in other words; nothing is deleted |
//! | `TaskCreate`, `TaskUpdate` | id `SESSION:TASK`; what is not said stays |
//!
//! Of the agent's input, only a task's text, status and priority are kept, and of its working folder only the project's
//! name and a digest (`hook/project.rs`).
//!
//! Failures never reach the agent: they are recorded ([`AgentHook::trouble`]) and shown by `coditect hook status`.

mod document;
mod entry;
mod event;
mod mend;
mod probe;
mod program;
mod project;
mod scan;
mod settings;
mod task_plan;
mod trouble;

pub use crate::HookError;
pub use probe::Inspection;
pub use settings::{AgentSettings, Installed};
pub use trouble::Trouble;

use std::path::{Path, PathBuf};

use crate::home::Home;
use crate::{Config, Error, environment};

/// Path of an agent's settings file, below a project's folder.
const PROJECT_SETTINGS: &str = ".claude/settings.json";

/// Name of an agent's settings file, in the agent's own folder.
const SETTINGS: &str = "settings.json";

/// The hook of one home folder.
///
/// ```
/// use local::hook::AgentHook;
/// use local::{ContextStore, Filter, Kind};
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
    /// Opens the hook of this home folder, else of `CODITECT_HOME`, else of `~/.coditect`.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self { home: Config::open(home)?.home().clone() })
    }

    /// Returns the agent's settings for all of a user's projects: in `CLAUDE_CONFIG_DIR`, else in `~/.claude`.
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

    /// Returns the agent's settings for one project.
    pub fn project_settings(&self, project: &Path) -> AgentSettings {
        self.settings(project.join(PROJECT_SETTINGS))
    }

    /// Returns the agent's settings in this file.
    pub fn settings(&self, path: PathBuf) -> AgentSettings {
        AgentSettings::new(self.home.clone(), path)
    }

    /// Returns the settings files to which the hook was added from this home folder, as far as is recorded.
    ///
    /// # Errors
    /// When the home folder can't be read.
    pub fn installed(&self) -> Result<Vec<AgentSettings>, Error> {
        Ok(settings::known(&self.home)?.into_iter().map(|path| self.settings(path)).collect())
    }

    /// Returns the path of this program that stays valid when a package or version manager updates it: the one in `PATH`,
    /// also of a script that starts it, else the one by which it was started.
    ///
    /// # Errors
    /// When the operating system doesn't report the program's path.
    pub fn program() -> Result<PathBuf, Error> {
        let found = std::env::current_exe().map_err(|cause| Error::File { path: "this program".into(), cause })?;
        let started_as = std::env::args_os().next();
        Ok(program::stable(&found, started_as.as_deref(), environment::path().as_deref(), probe::runs_this))
    }

    /// Returns the command for settings that several people share: this program by its name in `PATH`. Where it isn't
    /// installed, the command does nothing.
    pub fn portable_command() -> String {
        entry::portable_command()
    }

    /// Returns the command that an agent is to run: this program, with the home folder as an option if one is given.
    ///
    /// # Errors
    /// When a path is not UTF-8, so that no settings file can hold it.
    pub fn command(program: &Path, home: Option<&Path>) -> Result<String, Error> {
        let text = |path: &Path| {
            let absolute = std::path::absolute(path).map_err(|cause| Error::file(path, cause))?;
            let text = absolute.to_str().map(str::to_owned);
            text.ok_or_else(|| Error::from(HookError::Path { path: absolute }))
        };
        Ok(entry::command(&text(program)?, home.map(text).transpose()?.as_deref()))
    }

    /// Returns the last failure to record an agent's event, if there was one.
    ///
    /// # Errors
    /// When the home folder can't be read.
    pub fn trouble(&self) -> Result<Option<Trouble>, Error> {
        trouble::read(&self.home)
    }
}
