//! A repository on this machine, read from git's own files: working trees, bare repositories, submodules and clones of
//! clones. The program `git` is not needed.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::remote::{Address, Remote};
use super::{path_in, read, ssh};

/// The folder of a repository that holds its configuration; all its working trees share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository(PathBuf);

impl Repository {
    /// The one that this folder is the top of: a working tree, or bare.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        let git = folder.join(".git");
        let git = if git.is_dir() {
            git
        } else if let Some(link) = read(&git) {
            path_in(folder, link.strip_prefix(b"gitdir:")?)
        } else if is_bare(folder) {
            folder.to_owned()
        } else {
            return None;
        };
        let common = match (read(&git.join("commondir")), git.parent()) {
            (Some(common), _) => path_in(&git, &common),
            // One that was taken out of the repository's list still says whose it was: `…/api/.git/worktrees/fix`.
            (None, Some(list)) if list.ends_with("worktrees") => list.parent().unwrap_or(list).to_owned(),
            (None, _) => git,
        };
        Some(Self(common.canonicalize().unwrap_or(common)))
    }

    /// The repository that this one was cloned from, as long as that is on this machine and up to so many clones away; and its
    /// remote, as a name and an identity that all clones have.
    pub(super) fn origin(&self, home: Option<&Path>, most: usize) -> (Self, Option<Remote>) {
        let (mut repository, mut left) = (self.clone(), most);
        loop {
            let remote = match repository.address(home) {
                None => None,
                Some(Address::Remote(remote)) => Some(remote),
                Some(Address::Folder(folder)) => match Self::in_folder(&folder) {
                    Some(origin) if left > 0 && origin != repository => {
                        (repository, left) = (origin, left - 1);
                        continue;
                    }
                    Some(_) => None,
                    // A folder that is missing is on a disk that isn't here now.
                    None => Self(folder.clone()).root().file_name().map(|name| Remote {
                        name: name.to_string_lossy().into_owned(),
                        identity: folder.to_string_lossy().into_owned(),
                    }),
                },
            };
            return (repository, remote);
        }
    }

    /// Finds the repository that git finds where a folder is named, with or without `.git` at its end.
    fn in_folder(folder: &Path) -> Option<Self> {
        let mut longer = folder.as_os_str().to_owned();
        longer.push(".git");
        Self::at(folder).or_else(|| Self::at(Path::new(&longer)))
    }

    /// The folder that people call the repository by: without `.git`, or what a bare repository among its trees is called.
    pub(super) fn root(&self) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_suffix(".git") {
            Some("") => self.0.parent().unwrap_or(&self.0).to_owned(),
            Some(name) => self.0.with_file_name(name),
            // `api/.bare`, with its working trees beside it.
            None if name.starts_with('.') => self.0.parent().unwrap_or(&self.0).to_owned(),
            None => self.0.clone(),
        }
    }

    fn address(&self, home: Option<&Path>) -> Option<Address> {
        let config = Config::read(&self.0.join("config"), home);
        let url = config.remote_url()?;
        let personal = || home.map(Config::personal).unwrap_or_default();
        let instead_of = |url: &str| config.instead_of(url).or_else(|| personal().instead_of(url));
        Address::parse(url, &self.root(), &instead_of, &|host| ssh::host_name(home?, host))
    }
}

fn is_bare(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir() && folder.join("config").is_file()
}
