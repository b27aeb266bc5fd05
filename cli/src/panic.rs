//! Panic hook: prints a sentence with the place of the panic. The message of a panic can hold the data that was being worked
//! on, and so is not shown.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};

/// Installs the hook, which also ends the process with exit code 2, whichever thread panics.
pub(crate) fn install() {
    panic::set_hook(Box::new(|panicked| {
        // An error is ignored: there is no place to report that standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{}", message(panicked));
        quit();
    }));
}

fn message(panicked: &PanicHookInfo<'_>) -> String {
    let place =
        panicked.location().map_or_else(|| "an unknown place".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    format!(
        "error: coditect {} made a mistake of its own at {place}, and has stopped. What was stored before is as it was.\n\
         hint: `coditect self update` may bring a version without it; otherwise report this line.",
        env!("CARGO_PKG_VERSION")
    )
}

#[expect(clippy::exit, reason = "threads that go on after a panic would work on what it left half done")]
fn quit() {
    std::process::exit(2);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    #[ignore = "panics on purpose, in a process of its own"]
    fn panicking() {
        super::install();
        panic!("the key is CODITECT-PRO-A7F3E9D2C4B1-D3W4");
    }

    #[test]
    fn a_panic_is_a_sentence_without_what_was_worked_on() {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--ignored", "--exact", "panic::tests::panicking", "--nocapture"]);
        let output = process.env("RUST_BACKTRACE", "1").output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(
            message.starts_with("error: coditect ") && message.contains("panic.rs:") && message.contains("\nhint: "),
            "{message}"
        );
        assert!(!message.contains("CODITECT-PRO") && !message.contains("backtrace"), "{message}");
    }
}
