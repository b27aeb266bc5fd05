//! Finds the project that an agent works on. A project's identity is its repository, and its name is for people.
//!
//! | where | identity | name |
//! |---|---|---|
//! | a repository with a remote | the remote's address, without what differs between clones (`remote.rs`) | the address's last part |
//! | a folder with `.coditect.json`, or below one | the name in it | the same |
//! | a repository | the folder that all its working trees share | that folder's name |
//! | anywhere else | the folder | its name |
//!
//! Of the address and the path, only a digest is kept. A home folder and the root are no projects.

mod config;
mod remote;
mod repository;
mod ssh;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::id::ProjectId;
use serde_json::Value;

use crate::project;
use crate::text::{decoded, json};
use remote::Remote;
use repository::Repository;

/// A file that names the project of its folder: `{"project": "billing"}`.
const SETTINGS: &str = ".coditect.json";

/// Largest number of bytes that are read of a file.
const MAX_LEN: u64 = 256 * 1024;

/// The longest chain of clones of clones on one machine that is followed.
const MAX_CLONES: usize = 8;

/// Returns the project of a folder.
pub(super) fn of(folder: &Path, persons_home: Option<&Path>) -> Option<ProjectId> {
    // One folder has one path, whatever links lead to it.
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (folder, home) = (canonical(folder), persons_home.map(canonical));
    let is_project = |folder: &Path| folder.parent().is_some() && Some(folder) != home.as_deref();
    let inside = || folder.ancestors().take_while(|folder| is_project(folder));
    let found = inside().find_map(|folder| Repository::at(folder).map(|repository| (folder.to_owned(), repository)));
    let origin = found.as_ref().map(|(_, repository)| repository.origin(home.as_deref(), MAX_CLONES));
    let (repository, remote) = origin.unzip();
    if let Some(Remote { name, identity }) = remote.flatten() {
        return project::id(&name, &identity);
    }
    // Searched no further up than the root of the working tree.
    let top = found.as_ref().map(|(top, _)| top.clone());
    let mut named = inside().take_while(|folder| top.as_ref().is_none_or(|top| folder.starts_with(top)));
    if let Some(name) = named.find_map(name_in_settings) {
        return project::chosen(&name);
    }
    let root = repository.map_or(folder.clone(), |repository| repository.root());
    is_project(&root).then(|| project::id(&root.file_name()?.to_string_lossy(), &place(&root, home.as_deref())))?
}

/// Returns a folder's path, relative to the home folder if inside it, so that it is equal on another machine with the same
/// folders.
fn place(folder: &Path, home: Option<&Path>) -> String {
    let inside = home.and_then(|home| folder.strip_prefix(home).ok());
    inside.map_or_else(|| folder.to_string_lossy().into_owned(), |inside| format!("~/{}", inside.to_string_lossy()))
}

fn name_in_settings(folder: &Path) -> Option<String> {
    let text = read(&folder.join(SETTINGS))?;
    let settings: Value = json(&text).ok()?;
    settings["project"].as_str().filter(|name| !name.trim().is_empty()).map(str::to_owned)
}

/// Reads a small file. Anything but a regular file, such as a pipe, is skipped, since reading it could block.
fn read(path: &Path) -> Option<Vec<u8>> {
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_LEN).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Returns a path from the content of one of git's files, resolved against `base`.
fn path_in(base: &Path, text: &[u8]) -> PathBuf {
    let text = decoded(text);
    base.join(text.trim_end_matches(['\n', '\r']).trim())
}

#[cfg(test)]
mod tests;
