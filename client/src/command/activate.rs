//! `coditect activate [KEY|-]`

use std::io::{IsTerminal, stdin};

use coditect::text::decoded;
use coditect::{Error, LicenseKey};

use super::{client, standard_input, tell_of_given_key, validate};
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::terminal::Terminal;

/// More than any key with space around it.
const MAX_INPUT_LEN: usize = 4096;

pub(super) fn activate(printer: Printer, common: &Common, argument: Option<&str>) -> Result<ExitStatus, Error> {
    let input = match argument {
        Some(key) if key != "-" => key.to_owned(),
        None if stdin().is_terminal() => asked()?,
        _ => piped()?,
    };
    // Offline first: most wrong keys are typing errors.
    let key = LicenseKey::parse(&input).map_err(Error::Key)?;
    let client = client(printer, common)?;
    let verdict = client.activate(&key)?;
    if verdict.is_valid() {
        tell_of_given_key(printer, &client);
    }
    Ok(validate::print(printer, verdict, &format!("Activated {}.", key.redacted())))
}

/// Whoever gives up has said nothing, which is no key.
fn asked() -> Result<String, Error> {
    let answer = Terminal::open().map(|mut terminal| terminal.ask_secretly("License key (not shown): "));
    let line = answer.transpose().map_err(|cause| Error::File { path: "the terminal".into(), cause })?;
    Ok(line.flatten().unwrap_or_default())
}

fn piped() -> Result<String, Error> {
    let whole = |text: &[u8]| text.ends_with(b"\n") || LicenseKey::parse(&decoded(text)).is_ok();
    Ok(decoded(&standard_input(MAX_INPUT_LEN, whole)?).into_owned())
}
