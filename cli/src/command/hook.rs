//! `coditect hook task-plan|install|uninstall|status`

use std::io;
use std::panic;
use std::path::PathBuf;
use std::time::Duration;

use coditect::Error;
use coditect::hook::{AgentHook, AgentSettings, HookError, Installed};
use coditect::input::Input;
use serde_json::json;

use super::post_command::spawn_detached;
use crate::arguments::{Common, HookCommand, HookLocation};
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, display_path, one_line};

/// The timeout for reading an event. The agent waits at most ten seconds, and the queue's lock may take some of them.
const EVENT_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) fn hook(printer: Printer, common: &Common, command: &HookCommand) -> Result<ExitStatus, Error> {
    match command {
        HookCommand::TaskPlan => Ok(task_plan(printer, common)),
        HookCommand::Tidy => AgentHook::open(common.home.clone())?.checkpoint().map(|()| ExitStatus::Yes),
        HookCommand::Install(location) => install(printer, common, location),
        HookCommand::Uninstall(location) => uninstall(printer, common, location),
        HookCommand::Status(location) => status(printer, common, location),
    }
}

/// Records the agent's plan. Whatever happens, exits with success and prints nothing to standard output, so that the agent goes
/// on.
fn task_plan(printer: Printer, common: &Common) -> ExitStatus {
    // Also where panics don't unwind.
    panic::set_hook(Box::new(|_| quit()));
    // Errors are recorded for `coditect hook status`. Where that fails, this is the last chance to print them.
    match AgentHook::open(common.home.clone()) {
        Ok(hook) => {
            if let Err(error @ Error::Hook(HookError::Lost { .. })) =
                hook.task_plan(Input::new(io::stdin(), EVENT_TIMEOUT))
            {
                printer.notice(&error.to_string());
            }
            if hook.needs_checkpoint() {
                spawn_tidy(common);
            }
        }
        Err(error) => {
            let cause = format!("{error} {}", error.hint());
            printer.notice(&HookError::Lost { cause }.to_string());
        }
    }
    ExitStatus::Yes
}

#[expect(clippy::exit, reason = "a panic of ours must not become the agent's trouble")]
fn quit() {
    std::process::exit(0);
}

/// Starts `coditect hook tidy` in a process that the agent doesn't wait for. If it can't be started, the next event does it.
fn spawn_tidy(common: &Common) {
    spawn_detached(common, &["hook", "tidy"]);
}

fn install(printer: Printer, common: &Common, location: &HookLocation) -> Result<ExitStatus, Error> {
    let settings = settings(common, location)?;
    if location.project && common.home.is_some() {
        let sentence =
            "The settings of a project are for all who work on it, and a home folder or profile is yours alone.";
        let hint = "`coditect hook install --settings .claude/settings.local.json` keeps it to yourself.";
        return Ok(printer.failure(sentence, hint, "usage", ExitStatus::Usage));
    }
    let command = match location.project {
        true => AgentHook::portable_command(),
        false => AgentHook::command(&AgentHook::program()?, common.home.as_deref())?,
    };
    let installed = settings.install(&command)?;
    let path = display_path(settings.path());
    let text = match installed {
        Installed::New => format!("The agent's plan is recorded from its next session on: {path}."),
        Installed::Already => format!("The hook is in {path} already."),
        Installed::Renewed => format!("The hook in {path} was renewed."),
    };
    let object = json!({ "settings": settings.path().to_string_lossy(), "command": command, "changed": installed != Installed::Already });
    Ok(printer.answer(&object, &text, ExitStatus::Yes))
}

fn uninstall(printer: Printer, common: &Common, location: &HookLocation) -> Result<ExitStatus, Error> {
    let settings = settings(common, location)?;
    let changed = settings.uninstall()?;
    let path = display_path(settings.path());
    let text = match changed {
        true => format!("The hook was taken out of {path}."),
        false => format!("There is no hook of coditect in {path}."),
    };
    Ok(printer.answer(
        &json!({ "settings": settings.path().to_string_lossy(), "changed": changed }),
        &text,
        ExitStatus::Yes,
    ))
}

fn status(printer: Printer, common: &Common, location: &HookLocation) -> Result<ExitStatus, Error> {
    let hook = AgentHook::open(common.home.clone())?;
    let mut settings_files = hook.installed()?;
    let selected = settings(common, location)?;
    if !settings_files.iter().any(|settings| settings.path() == selected.path()) {
        settings_files.push(selected);
    }
    let (mut data, mut lines, mut is_installed, mut works) = (Vec::new(), Vec::new(), false, true);
    for settings in &settings_files {
        let found = settings.inspect();
        is_installed |= found.installed;
        works &= found.fault.is_none();
        lines.push(format!("{}  {}", found.settings.display(), found.command.as_deref().unwrap_or("not installed")));
        if let (Some(fault), Some(hint)) = (&found.fault, &found.hint) {
            lines.push(format!("  does not work: {fault}. {hint}"));
        }
        data.push(found);
    }
    let trouble = hook.trouble()?;
    if let Some(trouble) = &trouble {
        lines.push(format!("last failure at {} ({} in all): {}", trouble.at, trouble.times, trouble.error));
    }
    if !is_installed {
        lines.push("`coditect hook install` adds it to the agent's settings.".to_owned());
    }
    let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
    let object = json!({ "installed": is_installed, "works": is_installed && works, "data": data, "trouble": trouble });
    let status = if is_installed && works { ExitStatus::Yes } else { ExitStatus::No };
    Ok(printer.answer(&object, &lines.join("\n"), status))
}

fn settings(common: &Common, location: &HookLocation) -> Result<AgentSettings, Error> {
    // Where the agent's settings are is one matter, and where coditect keeps its own things another.
    let hook = AgentHook::open(common.home.clone())?;
    let here = || std::env::current_dir().map_err(|cause| Error::File { path: PathBuf::from("."), cause });
    match location {
        HookLocation { settings: Some(path), .. } => {
            let path = std::path::absolute(path).map_err(|cause| Error::File { path: path.clone(), cause })?;
            Ok(hook.settings(path))
        }
        HookLocation { project: true, .. } => Ok(hook.project_settings(&here()?)),
        HookLocation { .. } => hook.personal_settings(),
    }
}
