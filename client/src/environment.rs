//! The environment variables that this program reads, in the one place where it reads them.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where everything is kept, in place of `~/.coditect`.
pub const HOME: &str = "CODITECT_HOME";

/// Which profile is used, in place of the default one.
pub const PROFILE: &str = "CODITECT_PROFILE";

/// This machine's id, in place of the one that is found: for containers, whose machine ids change.
pub const HARDWARE_ID: &str = "CODITECT_HARDWARE_ID";

/// The folder that is used unless a caller names another.
pub(crate) fn home() -> Option<PathBuf> {
    let named = read(HOME).map(PathBuf::from);
    named.or_else(|| persons_home().map(|home| home.join(".coditect")))
}

/// The folder that a person's own files are in.
pub(crate) fn persons_home() -> Option<PathBuf> {
    read("HOME").map(PathBuf::from)
}

/// What `CODITECT_PROFILE` says.
pub(crate) fn profile() -> Option<String> {
    read(PROFILE).map(|name| name.to_string_lossy().into_owned())
}

/// What `CODITECT_HARDWARE_ID` says.
pub(crate) fn hardware_id() -> Option<String> {
    // What is not UTF-8 is not hex either, and is refused as such.
    read(HARDWARE_ID).map(|value| value.to_string_lossy().into_owned())
}

/// A variable that is set to nothing counts as not set.
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
