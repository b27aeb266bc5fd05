//! Which of those that share a machine's seat this is: each home folder has a random id, which is sent with the seat's calls, so
//! that none of them gives back what another still uses.
//!
//! A folder can be copied, with the image of a container or a disk. So the id is kept together with where it was made: this
//! start of this machine, and this folder of this file system. Anywhere else another one is made. Nothing depends on
//! keeping it: an id that is no longer used counts for a few minutes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use protocol::id::InstanceId;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Error, random, uptime};

const FILE: &str = "instance";

/// The file that is locked while it is made.
const LOCK: &str = "instance.lock";

#[derive(Serialize, Deserialize)]
struct Kept {
    id: InstanceId,
    place: Place,
}

/// Where an id was made.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    start: Option<String>,
    device: u64,
    inode: u64,
}

/// This home's id; where nothing can be kept, one for this process.
pub fn identify(home: &Home) -> InstanceId {
    kept(home).unwrap_or_else(|_| invent())
}

/// A new one, which no clock has a part in.
fn invent() -> InstanceId {
    InstanceId::from_uuid(random::uuid())
}

fn kept(home: &Home) -> Result<InstanceId, Error> {
    let _held = home.lock(LOCK)?;
    let folder = fs::metadata(home.path()).map_err(|cause| Error::file(home.path(), cause))?;
    let place = Place { start: uptime::system().map(|uptime| uptime.start), device: folder.dev(), inode: folder.ino() };
    let found = home.read_json::<Kept>(FILE)?;
    if let Some(found) = found.filter(|found| found.place == place) {
        return Ok(found.id);
    }
    let made = Kept { id: invent(), place };
    home.write_json(FILE, &made)?;
    Ok(made.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_keeps_its_id_and_a_copy_of_it_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let id = identify(&home);
        assert_eq!(identify(&home), id);
        let other = Home::new(folder.path().join("other"));
        assert_ne!(identify(&other), id);
        other.write(FILE, &home.read(FILE).unwrap().unwrap()).unwrap();
        let copied = identify(&other);
        assert_ne!(copied, id);
        assert_eq!(identify(&other), copied);
        assert_eq!(identify(&home), id);
    }

    #[test]
    fn another_start_of_the_machine_is_another_machine_with_a_copy_of_its_disk() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let id = identify(&home);
        let mut found: Kept = serde_json::from_slice(&home.read(FILE).unwrap().unwrap()).unwrap();
        found.place.start = Some("another".to_owned());
        home.write(FILE, &serde_json::to_vec(&found).unwrap()).unwrap();
        assert_ne!(identify(&home), id);
    }

    #[test]
    fn what_is_damaged_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        home.write(FILE, b"{").unwrap();
        let id = identify(&home);
        assert_eq!(identify(&home), id);
    }

    #[test]
    fn where_nothing_can_be_kept_each_process_has_its_own() {
        let home = Home::new("/dev/null/home".into());
        assert_ne!(identify(&home), identify(&home));
    }
}
