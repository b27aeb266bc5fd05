//! Edits an agent's settings file, which is read whole, changed in one place, and replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::entry::{self, Fault, Made};
use super::trouble;
use crate::HookError;
use crate::home::Home;
use crate::text::{decoded_exactly, encoded_like};
use crate::{Error, random};

/// Largest settings file, in bytes.
const MAX_LEN: u64 = 4 * 1024 * 1024;

/// Longest chain of symbolic links that is followed; the system's own limit.
const MAX_LINKS: usize = 40;

/// File that records, by path, the items created in each settings file.
const INSTALLED: &str = "hooks.json";

/// Lock file that is held while that file is read, changed and written.
const LOCK: &str = "hooks.lock";

/// Result of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The entry is new.
    New,
    /// The entry was there already.
    Already,
    /// The entry replaces one with another command, or for fewer tools.
    Renewed,
}

/// The settings of an agent.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    home: Home,
    path: PathBuf,
}

impl AgentSettings {
    pub(super) fn new(home: Home, path: PathBuf) -> Self {
        Self { home, path }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the hook, unless it is there.
    ///
    /// # Errors
    /// When the file is not an agent's settings; then it stays as it is.
    pub fn install(&self, command: &str) -> Result<Installed, Error> {
        let target = self.target()?;
        let _held = self.home.lock(LOCK)?;
        // Created so that it can be locked. If that fails, the settings can't be written either.
        let _ = fs::create_dir_all(folder_of(&target));
        let _also = lock_folder(&target);
        let before = self.read(&target)?;
        let (text, file) = match before.as_deref().map(|bytes| self.text(bytes)).transpose()? {
            // A user may have created an empty file to begin with.
            Some(text) if !text.trim().is_empty() => (text, Made::Entry),
            _ => ("{}\n".to_owned(), Made::File),
        };
        let found = entry::find(&text).map_err(|fault| self.fault(fault))?;
        if found.len() == 1 && found[0].command == command && found[0].covers {
            return Ok(Installed::Already);
        }
        let mut installed = self.installed()?;
        let known = installed.get(&self.name()).copied();
        let cleared = entry::take_out(&text, Made::Entry).map_err(|fault| self.fault(fault))?;
        let (after, made) = entry::add(&cleared, command).map_err(|fault| self.fault(fault))?;
        // The items created for an entry that is now replaced are still ours.
        let made = if found.is_empty() { made.max(file) } else { known.unwrap_or(made) };
        self.replace(&target, before.as_deref(), &after)?;
        installed.insert(self.name(), made);
        self.remember(&installed)?;
        trouble::clear(&self.home)?;
        Ok(if found.is_empty() { Installed::New } else { Installed::Renewed })
    }

    /// Removes the hook and the items created for it. Returns true if the hook was there.
    ///
    /// # Errors
    /// When the file is not an agent's settings; then it stays as it is.
    pub fn uninstall(&self) -> Result<bool, Error> {
        let target = self.target()?;
        let _held = if self.home.path().is_dir() { Some(self.home.lock(LOCK)?) } else { None };
        let _also = lock_folder(&target);
        let mut installed = self.installed()?;
        // Empty containers of an entry that is not recorded were most likely created for it.
        let made = installed.remove(&self.name()).unwrap_or(Made::Hooks);
        let mut taken = false;
        let before = self.read(&target)?;
        let text = before.as_deref().map(|bytes| self.text(bytes)).transpose()?;
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            taken = !entry::find(&text).map_err(|fault| self.fault(fault))?.is_empty();
            if taken {
                let after = entry::take_out(&text, made).map_err(|fault| self.fault(fault))?;
                if made == Made::File && entry::is_empty(&after) {
                    fs::remove_file(&target).map_err(|cause| Error::file(&target, cause))?;
                } else {
                    self.replace(&target, before.as_deref(), &after)?;
                }
            }
        }
        self.remember(&installed)?;
        Ok(taken)
    }

    /// Returns the commands of the installed hooks: one, if all is well.
    ///
    /// # Errors
    /// When the file is not an agent's settings.
    pub fn commands(&self) -> Result<Vec<String>, Error> {
        Ok(self.entries()?.into_iter().map(|entry| entry.command).collect())
    }

    /// Returns our entries, in order.
    pub(super) fn entries(&self) -> Result<Vec<entry::Found>, Error> {
        let text = self.read(&self.target()?)?.map(|bytes| self.text(&bytes)).transpose()?;
        let text = text.filter(|text| !text.trim().is_empty());
        let found = text.map(|text| entry::find(&text).map_err(|fault| self.fault(fault))).transpose()?;
        Ok(found.unwrap_or_default())
    }

    /// Returns the file itself if the path is a symbolic link. Links are kept, also those to a file that does not exist
    /// yet.
    fn target(&self) -> Result<PathBuf, Error> {
        let mut path = self.path.clone();
        for _ in 0..MAX_LINKS {
            match fs::read_link(&path) {
                Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
                Err(_) => return Ok(path),
            }
        }
        Err(Error::file(&self.path, io::Error::from(io::ErrorKind::TooManyLinks)))
    }

    fn read(&self, target: &Path) -> Result<Option<Vec<u8>>, Error> {
        let file = match File::open(target) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::file(target, cause)),
        };
        let mut text = Vec::new();
        file.take(MAX_LEN + 1).read_to_end(&mut text).map_err(|cause| Error::file(target, cause))?;
        if text.len() as u64 > MAX_LEN {
            return Err(self.fault(Fault::Shape("it is larger than 4 MiB")));
        }
        Ok(Some(text))
    }

    fn text(&self, bytes: &[u8]) -> Result<String, Error> {
        decoded_exactly(bytes).ok_or_else(|| self.fault(Fault::Shape("it is neither UTF-8 nor marked as UTF-16")))
    }

    /// Replaces the file's text, and keeps its encoding and permissions; fails if another process has changed it meanwhile.
    fn replace(&self, target: &Path, before: Option<&[u8]>, after: &str) -> Result<(), Error> {
        let folder = folder_of(target);
        fs::create_dir_all(folder).map_err(|cause| Error::file(folder, cause))?;
        let aside = folder.join(format!(".coditect-{}", random::name()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
            if let Ok(found) = fs::metadata(target) {
                file.set_permissions(Permissions::from_mode(found.mode() & 0o7777))?;
            }
            file.write_all(&encoded_like(before.unwrap_or_default(), after))?;
            file.sync_all()
        };
        let written = write().map_err(|cause| Error::file(target, cause)).and_then(|()| {
            if self.read(target)?.as_deref() != before {
                return Err(self.fault(Fault::Shape("another program has changed it at this moment; try again")));
            }
            fs::rename(&aside, target).map_err(|cause| Error::file(target, cause))
        });
        if written.is_err() {
            let _ = fs::remove_file(&aside);
        }
        written
    }

    fn name(&self) -> String {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()).to_string_lossy().into_owned()
    }

    /// Reports whether the hook was added to the settings from this home folder.
    pub(super) fn is_remembered(&self) -> bool {
        self.installed().is_ok_and(|installed| installed.contains_key(&self.name()))
    }

    fn installed(&self) -> Result<BTreeMap<String, Made>, Error> {
        installed(&self.home)
    }

    fn remember(&self, installed: &BTreeMap<String, Made>) -> Result<(), Error> {
        if installed.is_empty() {
            return self.home.remove(INSTALLED);
        }
        let text = serde_json::to_vec_pretty(installed).expect("paths and words are text");
        self.home.write(INSTALLED, &text)
    }

    fn fault(&self, fault: Fault) -> Error {
        let fault = match fault {
            Fault::Syntax(error) => format!("it is not JSON: {error}"),
            Fault::Shape(fault) => fault.to_owned(),
        };
        HookError::Settings { path: self.path.clone(), fault }.into()
    }
}

/// Keeps processes of other home folders from changing the same settings, as far as the folder can be locked.
fn lock_folder(target: &Path) -> Option<File> {
    let folder = File::open(folder_of(target)).ok()?;
    folder.lock().ok().map(|()| folder)
}

/// Returns the folder that a file is in.
fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the items created in each settings file. A record that can't be read counts as empty: it only serves to clean
/// up.
fn installed(home: &Home) -> Result<BTreeMap<String, Made>, Error> {
    Ok(home.read_json(INSTALLED)?.unwrap_or_default())
}

/// Returns the settings files to which a hook was added from this home folder.
pub(super) fn known(home: &Home) -> Result<Vec<PathBuf>, Error> {
    Ok(installed(home)?.into_keys().map(PathBuf::from).collect())
}
