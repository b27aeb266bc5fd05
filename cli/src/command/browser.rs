//! Opens an address in the user's browser.

use std::process::{Command, Stdio};
use std::thread;

use coditect::environment;

/// Opens an address in the browser; where that fails, at once or a little later, calls `fallback` with the address.
pub(super) fn open(url: &str, fallback: impl Fn(&str) + Send + 'static) {
    // Without a screen, `xdg-open` would start a browser in this very terminal.
    let child = if cfg!(any(target_os = "macos", windows)) || environment::has_browser() {
        let (program, arguments) = opener();
        let mut command = Command::new(program);
        command.args(arguments).arg(url);
        // Its messages are not ours.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    } else {
        None
    };
    let Some(mut child) = child else { return fallback(url) };
    let url = url.to_owned();
    thread::spawn(move || {
        if !child.wait().is_ok_and(|status| status.success()) {
            fallback(&url);
        }
    });
}

fn opener() -> (&'static str, &'static [&'static str]) {
    if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    }
}
