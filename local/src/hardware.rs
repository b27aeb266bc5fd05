//! Which machine this is.
//!
//! The id that the operating system gave the machine when it was installed, hashed, so that the id itself is not sent. The
//! mainboard's UUID is left out although it is just as stable: only root may read it, and a machine must not have another
//! name under `sudo`.

use std::fs;

use protocol::id::HardwareId;
use uuid::Uuid;

use crate::home::Home;
use crate::notice::{Notice, Notify};
use crate::{Error, environment, random};

/// Where systemd and D-Bus keep it.
const SOURCES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The file in the home folder with the id of a machine that has none.
const INVENTED: &str = "machine";

/// This machine's id: what the environment says, or what the machine says, or one that is invented once and kept.
pub fn identify(home: &Home, notify: &Notify) -> Result<HardwareId, Error> {
    if let Some(named) = environment::hardware_id() {
        return HardwareId::parse(named.trim()).map_err(Error::HardwareId);
    }
    if let Some(id) = SOURCES.iter().find_map(|path| machine_id(&fs::read_to_string(path).ok()?)) {
        return Ok(facts(&id));
    }
    invented(home, notify)
}

/// systemd writes 32 hex characters, and `uninitialized` before the first start.
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim();
    let usable =
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
    usable.then(|| id.to_ascii_lowercase())
}

fn invented(home: &Home, notify: &Notify) -> Result<HardwareId, Error> {
    let kept = home.read(INVENTED)?;
    let id = match kept.as_deref().and_then(|text| machine_id(&String::from_utf8_lossy(text))) {
        Some(id) => id,
        None => {
            notify.send(&Notice::MachineInvented);
            let id = Uuid::from_bytes(random::bytes()).simple().to_string();
            if kept.is_some() {
                home.write(INVENTED, id.as_bytes())?
            } else {
                home.write_new(INVENTED, id.as_bytes()).map(drop)?
            }
            let written = home.read(INVENTED)?.unwrap_or_default();
            machine_id(&String::from_utf8_lossy(&written)).unwrap_or(id)
        }
    };
    Ok(facts(&id))
}

fn facts(machine_id: &str) -> HardwareId {
    HardwareId::of(format!("coditect machine {machine_id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_machine_id_names_a_machine() {
        assert_eq!(machine_id("0123456789ABCDEF0123456789abcdef\n").unwrap(), "0123456789abcdef0123456789abcdef");
        for text in
            ["", "uninitialized\n", "00000000000000000000000000000000", "0123", "0123456789abcdef0123456789abcdeg"]
        {
            assert_eq!(machine_id(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_machine_without_an_id_gets_one_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let told = std::sync::Arc::new(std::sync::Mutex::new(0));
        let count = told.clone();
        let notify = Notify::new(move |_| *count.lock().unwrap() += 1);
        let first = invented(&home, &notify).unwrap();
        assert_eq!(invented(&home, &notify).unwrap(), first);
        assert_eq!(*told.lock().unwrap(), 1, "the warning comes once");
    }
}
