//! The environment variables that this program reads, in the one place where it reads them.

use std::ffi::OsString;
use std::path::PathBuf;

/// Home folder, in which everything is stored, in place of `~/.coditect`.
pub const HOME: &str = "CODITECT_HOME";

/// Profile that is used, in place of the default one.
pub const PROFILE: &str = "CODITECT_PROFILE";

/// `off`: secrets are sealed in the home folder, and the operating system's keychain is left alone.
pub const KEYCHAIN: &str = "CODITECT_KEYCHAIN";

/// This machine's id, in place of the one that is found: for containers, whose machine ids change.
pub const HARDWARE_ID: &str = "CODITECT_HARDWARE_ID";

/// A license key that seats are taken with and nothing is kept of: for CI jobs and containers, which leave no machine behind.
pub const LICENSE_KEY: &str = "CODITECT_LICENSE_KEY";

/// Address of the manifest of new versions, in place of CODITECT's own: a mirror's.
pub const UPDATE_URL: &str = "CODITECT_UPDATE_URL";

/// Folder with Claude Code's settings, in place of `~/.claude`.
pub const AGENT: &str = "CLAUDE_CONFIG_DIR";

/// The minisign public keys that new versions are checked with: read when this program is built, and by builds for tests
/// when they run.
const UPDATE_KEY: &str = "CODITECT_UPDATE_KEY";

/// Returns the home folder that is used unless a caller names another.
pub(crate) fn home() -> Option<PathBuf> {
    let named = read(HOME).map(PathBuf::from);
    named.or_else(|| persons_home().map(|home| home.join(".coditect")))
}

/// Returns the user's home directory (`HOME`).
pub(crate) fn persons_home() -> Option<PathBuf> {
    read("HOME").map(PathBuf::from)
}

/// Returns the folder of the agent whose plans are recorded: `CLAUDE_CONFIG_DIR`, else `~/.claude`.
pub(crate) fn agents_folder() -> Option<PathBuf> {
    let named = read(AGENT).map(PathBuf::from);
    named.or_else(|| persons_home().map(|home| home.join(".claude")))
}

/// Returns the project that an agent works on, as it passes it to its hooks.
pub(crate) fn agents_project() -> Option<PathBuf> {
    read("CLAUDE_PROJECT_DIR").map(PathBuf::from)
}

/// Returns the folders in which programs are found.
pub(crate) fn path() -> Option<OsString> {
    read("PATH")
}

/// Returns the value of `CODITECT_PROFILE`.
pub(crate) fn profile() -> Option<String> {
    read(PROFILE).map(|name| name.to_string_lossy().into_owned())
}

/// Returns the value of `CODITECT_HARDWARE_ID`.
pub(crate) fn hardware_id() -> Option<String> {
    // A value that is not UTF-8 is not hex either, and is refused as such.
    text(HARDWARE_ID)
}

/// Returns the value of `CODITECT_LICENSE_KEY`. An empty one counts, unlike for other variables: it is a secret that a
/// CI system does not have for this job, and going on in the free tier would hide that.
pub fn license_key() -> Option<String> {
    std::env::var_os(LICENSE_KEY).map(|value| value.to_string_lossy().into_owned())
}

/// Returns the proxy that encrypted calls go through: the variable that names it, and its value. The one for https goes first.
pub fn proxy() -> Option<(&'static str, String)> {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(|name| Some((name, text(name)?)))
}

/// Returns the hosts that need no proxy, with commas between.
pub fn no_proxy() -> String {
    text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default()
}

/// Returns the file and the folders with the certificates to trust, in place of the operating system's.
pub fn certificates() -> (Option<PathBuf>, Vec<PathBuf>) {
    let folders = read("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect());
    (read("SSL_CERT_FILE").map(PathBuf::from), folders.unwrap_or_default())
}

fn text(name: &str) -> Option<String> {
    read(name).map(|value| value.to_string_lossy().into_owned())
}

/// Returns true if `CODITECT_KEYCHAIN` turns the keychain off.
pub fn keychain_is_off() -> bool {
    read(KEYCHAIN).is_some_and(|value| value == "off")
}

/// Returns true if there is a screen on which a person can be asked for a password.
pub(crate) fn has_screen() -> bool {
    cfg!(any(target_os = "macos", windows))
        || ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| read(name).is_some())
}

/// Returns true if there is a D-Bus session bus.
#[cfg(not(any(target_os = "macos", windows)))]
pub(crate) fn has_session_bus() -> bool {
    let of_systemd = || read("XDG_RUNTIME_DIR").is_some_and(|folder| PathBuf::from(folder).join("bus").exists());
    read("DBUS_SESSION_BUS_ADDRESS").is_some() || of_systemd()
}

/// Returns true if a browser can be shown, as far as the variables that desktops set say so.
pub fn has_browser() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(|name| read(name).is_some())
}

/// Returns the trace that the caller is in, as OpenTelemetry hands it to programs that are started.
pub fn traceparent() -> Option<String> {
    text("TRACEPARENT")
}

/// Returns the value of `CODITECT_UPDATE_URL`.
pub fn update_url() -> Option<String> {
    text(UPDATE_URL)
}

/// Returns the keys that updates are checked with. In a release they are fixed when it is built.
pub fn update_key() -> Option<String> {
    let named = if cfg!(debug_assertions) { text(UPDATE_KEY) } else { None };
    named.or_else(|| option_env!("CODITECT_UPDATE_KEY").map(str::to_owned)).filter(|keys| !keys.trim().is_empty())
}

/// Reads a variable; one that is set to nothing counts as not set.
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
