//! The agent's hook, wherever it is installed: whether the command that the agent runs is this program.

use super::Check;
use crate::home::Home;
use crate::hook::{AgentHook, AgentSettings};

const NAME: &str = "hook";

/// Checks the settings in which the hook is installed; nothing where no hook ever was.
pub fn check(home: &Home) -> Vec<Check> {
    let known = AgentHook::open(Some(home.path().to_owned())).and_then(|hook| Ok((hook.installed()?, hook)));
    let (known, hook) = match known {
        Ok(known) => known,
        Err(error) => return vec![Check::failed(NAME, &error)],
    };
    let mut found: Vec<_> = known.iter().map(AgentSettings::inspect).collect();
    // The person's own settings may have been written by an earlier version, from another home folder.
    if let Ok(personal) = hook.personal_settings()
        && !known.iter().any(|settings| settings.path() == personal.path())
    {
        found.extend(Some(personal.inspect()).filter(|found| found.installed));
    }
    let found = found.into_iter().filter(|found| found.installed || found.fault.is_some());
    found
        .map(|found| {
            let path = found.settings.display().to_string();
            match found.fault {
                None => Check::good(NAME, format!("{path} runs this program")),
                Some(fault) => {
                    Check::bad(NAME, format!("{path} does not work: {fault}"), found.hint.unwrap_or_default())
                }
            }
        })
        .collect()
}
