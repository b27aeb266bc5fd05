//! `coditect activate [KEY|-]`

use std::io::{IsTerminal, stdin};

use coditect::text::decoded;
use coditect::{Error, KeyError, LicenseKey};
use protocol::key::{BODY_LEN, Brand, KeyType};

use super::{client, read_stdin, validate, warn_of_environment_key};
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::terminal::Terminal;

/// Longest input that is read, in bytes: more than any key with space around it.
const MAX_INPUT_LEN: usize = 4096;

/// Number of lines of the longest key when it is broken at every hyphen.
const MAX_LINES: usize = 4;

/// Activates the key that was given in one or more words; without any, asks for it.
pub(super) fn activate(printer: Printer, common: &Common, words: &[String]) -> Result<ExitStatus, Error> {
    let input = match words {
        [] if stdin().is_terminal() => prompt_for_key()?,
        [word] if word != "-" => word.clone(),
        [_, _, ..] => words.join(" "),
        _ => read_key()?,
    };
    // Offline first: most wrong keys are typing errors.
    let key = LicenseKey::parse(&input).map_err(Error::Key)?;
    let client = client(printer, common)?;
    let verdict = client.activate(&key)?;
    if verdict.is_valid() {
        warn_of_environment_key(printer, &client);
    }
    Ok(validate::print(printer, verdict, &format!("Activated {}.", key.redacted())))
}

/// Asks for a key at the terminal; returns an empty text, which is no key, if the user gives up.
fn prompt_for_key() -> Result<String, Error> {
    let is_continued = |lines: &str| is_key_prefix(lines) && lines.lines().count() < MAX_LINES;
    let ask = |mut terminal: Terminal| terminal.prompt_hidden("License key (not shown): ", is_continued);
    let answer = Terminal::open().map(ask).transpose();
    Ok(answer.map_err(|cause| Error::File { path: "the terminal".into(), cause })?.flatten().unwrap_or_default())
}

/// Returns true if a text is the beginning of a key, as when a mail or a narrow window has broken it in two: with the rest of
/// some key it has a key's form.
fn is_key_prefix(text: &str) -> bool {
    let forms = Brand::ALL.iter().flat_map(|brand| KeyType::ALL.iter().map(move |key_type| (brand, key_type)));
    let mut keys = forms
        .map(|(brand, key_type)| format!("{}-{}-{}-0000", brand.as_str(), key_type.as_str(), "0".repeat(BODY_LEN)));
    keys.any(|key| {
        let has_form =
            |rest: &str| matches!(LicenseKey::parse(&format!("{text}{rest}")), Ok(_) | Err(KeyError::Mistyped));
        (1..key.len()).any(|at| has_form(&key[at..]))
    })
}

fn read_key() -> Result<String, Error> {
    let whole = |text: &[u8]| text.ends_with(b"\n") || LicenseKey::parse(&decoded(text)).is_ok();
    Ok(decoded(&read_stdin(MAX_INPUT_LEN, whole)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_key_is_told_from_a_key_and_from_what_is_none() {
        for text in [
            "CODI",
            "CODITECT-ENT-",
            "> coditect\u{2011}ent\n-",
            "CSFW-PRO-A7F3",
            "CODITECT-PRO-A7F3E9D2C4B1",
            "CODITECT-PRO-A7F3E9D2C4B1-D3W",
        ] {
            assert!(is_key_prefix(text), "{text}");
        }
        for text in
            ["", " ", "hello", "CODITECT-PRO-A7F3E9D2C4B1-D3W4", "CODITECT-PRO-A7F3E9D2C4B1-0000", "CODITECT-NONE-"]
        {
            assert!(!is_key_prefix(text), "{text}");
        }
    }
}
