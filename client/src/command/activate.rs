//! `coditect activate [KEY|-]`

use std::io::{IsTerminal, Read};

use coditect::{Error, LicenseKey};

use super::{client, validate};
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::terminal::Terminal;

/// More than any key with space around it.
const MAX_INPUT_LEN: u64 = 4096;

pub(super) fn activate(printer: Printer, common: &Common, argument: Option<&str>) -> Result<ExitStatus, Error> {
    let input = match argument {
        Some(key) if key != "-" => key.to_owned(),
        None if std::io::stdin().is_terminal() => asked()?,
        _ => standard_input()?,
    };
    // Offline first: most wrong keys are typing errors.
    let key = LicenseKey::parse(&input).map_err(Error::Key)?;
    let verdict = client(printer, common)?.activate(&key)?;
    Ok(validate::print(printer, verdict, &format!("Activated {}.", key.redacted())))
}

/// Whoever gives up has said nothing, which is no key.
fn asked() -> Result<String, Error> {
    let answer = Terminal::open().map(|mut terminal| terminal.ask_secretly("License key (not shown): "));
    let line = answer.transpose().map_err(|cause| Error::File { path: "the terminal".into(), cause })?;
    Ok(line.flatten().unwrap_or_default())
}

fn standard_input() -> Result<String, Error> {
    let mut input = Vec::new();
    let read = std::io::stdin().take(MAX_INPUT_LEN).read_to_end(&mut input);
    read.map_err(|cause| Error::File { path: "standard input".into(), cause })?;
    Ok(String::from_utf8_lossy(&input).into_owned())
}
