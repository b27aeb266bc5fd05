//! `coditect activate KEY`

use std::io::Read;

use coditect::{Error, LicenseKey};

use super::{client, validate};
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// More than any key with space around it.
const MAX_INPUT_LEN: u64 = 4096;

pub(super) fn activate(printer: Printer, common: &Common, text: &str) -> Result<ExitStatus, Error> {
    let input = if text == "-" { standard_input()? } else { text.to_owned() };
    // Offline first: most wrong keys are typing errors.
    let key = LicenseKey::parse(&input).map_err(Error::Key)?;
    let verdict = client(printer, common)?.activate(&key)?;
    Ok(validate::print(printer, verdict, &format!("Activated {}.", key.redacted())))
}

fn standard_input() -> Result<String, Error> {
    let mut input = Vec::new();
    let read = std::io::stdin().take(MAX_INPUT_LEN).read_to_end(&mut input);
    read.map_err(|cause| Error::File { path: "standard input".into(), cause })?;
    Ok(String::from_utf8_lossy(&input).into_owned())
}
