//! Finds the path of this program that stays valid when it is updated.
//!
//! A package manager keeps each version in a folder of its own and has a link to the newest one among the programs of
//! `PATH`. A version manager has a script or a program of its own there (a shim), which starts the version that was chosen.
//! A path that is stored, as in an agent's settings, is the one in `PATH`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Returns the path by which this program is found in `PATH`, else the one by which it was started, else `found`.
///
/// `found` is the path that the operating system reports, `started_as` the first word of the command line. `runs_this`
/// returns true for another program that starts this one.
pub(super) fn stable(
    found: &Path,
    started_as: Option<&OsStr>,
    path: Option<&OsStr>,
    runs_this: impl Fn(&Path) -> bool,
) -> PathBuf {
    let here = fs::canonicalize(found).unwrap_or_else(|_| found.to_owned());
    let is_this = |candidate: &PathBuf| fs::canonicalize(candidate).is_ok_and(|target| target == here);
    let started_as = started_as.map(Path::new);
    let mut names: Vec<OsString> = vec![NAME.into()];
    names.extend(started_as.and_then(Path::file_name).map(OsStr::to_owned));
    names.extend(found.file_name().map(OsStr::to_owned));
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    // A relative path means another folder elsewhere.
    let folders = || folders.iter().filter(|folder| folder.is_absolute());
    // The program that the bare name starts.
    let first = folders().map(|folder| folder.join(NAME)).find(|candidate| is_program(candidate));
    if let Some(first) = first.filter(|first| is_this(first) || runs_this(first)) {
        return first;
    }
    let mut candidates = folders().flat_map(|folder| names.iter().map(|name| folder.join(name)));
    let in_path = candidates.find(is_this);
    let as_started = || {
        let named = started_as.filter(|name| name.components().count() > 1)?;
        std::path::absolute(named).ok().filter(is_this)
    };
    in_path.or_else(as_started).unwrap_or_else(|| found.to_owned())
}

/// This program's name.
const NAME: &str = "coditect";

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_name_is_the_one_that_an_upgrade_keeps() {
        let folder = tempfile::tempdir().unwrap();
        let (cellar, bin) = (folder.path().join("Cellar/coditect/1.0/bin"), folder.path().join("bin"));
        fs::create_dir_all(&cellar).unwrap();
        fs::create_dir(&bin).unwrap();
        let (program, link) = (cellar.join("coditect"), bin.join("coditect"));
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        symlink("../Cellar/coditect/1.0/bin/coditect", &link).unwrap();
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("coditect"), "another program").unwrap();

        let stable =
            |found: &Path, started_as: Option<&OsStr>, path: Option<&OsStr>| stable(found, started_as, path, |_| false);
        let path = std::env::join_paths([Path::new("relative"), &other, &bin, &cellar]).unwrap();
        assert_eq!(stable(&program, Some("coditect".as_ref()), Some(&path)), link);
        assert_eq!(stable(&program, Some(link.as_os_str()), Some(other.as_os_str())), link, "as it was started");
        assert_eq!(stable(&program, Some("coditect".as_ref()), None), program);
        assert_eq!(stable(&program, Some(other.join("coditect").as_os_str()), None), program, "not another program");

        symlink("coditect", bin.join("ct")).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(&program, bin.join("ct-2")).unwrap();
        assert_eq!(stable(&program, Some("ct-2".as_ref()), Some(bin.as_os_str())), bin.join("ct-2"));
    }

    #[test]
    fn a_script_in_path_that_starts_this_program_is_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let [versions, shims, other] = ["versions/0.1.0", "shims", "other"].map(|name| folder.path().join(name));
        let program = |folder: &Path| {
            fs::create_dir_all(folder).unwrap();
            let path = folder.join(NAME);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            path
        };
        let [found, shim, another] = [&versions, &shims, &other].map(|folder| program(folder));
        let path = std::env::join_paths([&shims, &other, &versions]).unwrap();
        assert_eq!(stable(&found, Some(found.as_os_str()), Some(&path), |program| program == shim), shim);
        // Nothing behind the first is started.
        assert_eq!(stable(&found, None, Some(&path), |program| program == another), found);
    }
}
