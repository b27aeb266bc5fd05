//! `coditect sync keys init|export|import|remove|status`

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use coditect::input::read_whole;
use coditect::text::{decoded, nfc};
use coditect::{Error, KeyStatus, KeyTaken, LicenseClient, exported_key_id};
use serde_json::json;

use super::{client, read_stdin};
use crate::arguments::{Common, KeysCommand, PassphraseSource};
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, display_path};
use crate::terminal::Terminal;

/// Longest export or passphrase that is read, in bytes.
const MAX_LEN: usize = 64 * 1024;

/// Warning before a key is made, which the user confirms.
const INIT_WARNING: &str = "From now on, everything that this machine sends is encrypted with a key that the cloud never has, and your \
organization's other machines can only sync once they have it too.\n\
If every machine that has the key is lost, and every export, or their passphrases: the contents in the cloud are unreadable \
for ever, for everybody. Nobody can restore them.\n\
What is in the cloud already is encrypted too, but what it was before stays in its history in clear.";

/// Warning before a key is forgotten, which the user confirms.
const REMOVE_WARNING: &str = "This machine forgets the key. If your organization's encryption was turned off, everything that this \
machine sends from then on travels in clear; otherwise it can send no contents any more.\n\
What is here in plain stays so, and what is encrypted in the cloud, too. If no other machine and no export has the key, nobody \
can ever read that again.";

pub(super) fn keys(printer: Printer, common: &Common, command: &KeysCommand) -> Result<ExitStatus, Error> {
    match command {
        KeysCommand::Init { yes } => init(printer, &client(printer, common)?, *yes),
        KeysCommand::Export { file, passphrase } => {
            export(printer, &client(printer, common)?, file.as_deref(), passphrase)
        }
        KeysCommand::Import { file, passphrase } => import(printer, &client(printer, common)?, file, passphrase),
        KeysCommand::Remove { yes } => remove(printer, &client(printer, common)?, *yes),
        KeysCommand::Status => status(printer, &client(printer, common)?),
    }
}

fn init(printer: Printer, client: &LicenseClient, yes: bool) -> Result<ExitStatus, Error> {
    if !yes {
        let Some(mut terminal) = Terminal::open().filter(|_| !printer.json) else {
            let hint = "`coditect sync keys init --yes` makes the key.";
            return Ok(printer.failure(&INIT_WARNING.replace('\n', " "), hint, "confirmation_needed", ExitStatus::No));
        };
        if !confirms(&mut terminal, &format!("{INIT_WARNING}\nType yes to make the key: "))? {
            let hint = "`coditect sync keys init` asks again.";
            return Ok(printer.failure("No key was made.", hint, "not_confirmed", ExitStatus::No));
        }
    }
    let stored = client.init_tenant_key()?;
    let text = format!(
        "{}\n`coditect sync keys export FILE` writes it for your other machines, and for a safe place. Do it now.",
        describe(&stored)
    );
    Ok(printer.answer(&stored, &text, ExitStatus::Yes))
}

fn export(
    printer: Printer,
    client: &LicenseClient,
    file: Option<&Path>,
    source: &PassphraseSource,
) -> Result<ExitStatus, Error> {
    let passphrase = match read_passphrase(source, true)? {
        PassphraseInput::Passphrase(passphrase) => passphrase,
        other => return Ok(other.refuse(printer)),
    };
    let text = client.export_tenant_key(&passphrase)?;
    let key_id = exported_key_id(&text);
    let Some(path) = file.filter(|path| *path != Path::new("-")) else {
        return Ok(printer.answer(&json!({ "key_id": key_id, "export": text }), text.trim_end(), ExitStatus::Yes));
    };
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let sentence = format!("{} is there already, and is not overwritten.", path.display());
            let hint = "`coditect sync keys export FILE` with another name.";
            Ok(printer.failure(&sentence, hint, "file_exists", ExitStatus::No))
        }
        Err(cause) => Err(Error::File { path: path.to_owned(), cause }),
        Ok(()) => {
            let text = format!(
                "The key is in {}, and opens with the passphrase alone. Keep both, and not together.\n\
                 `coditect sync keys import FILE` takes it over on another machine.",
                display_path(path)
            );
            Ok(printer.answer(&json!({ "key_id": key_id, "file": path.to_string_lossy() }), &text, ExitStatus::Yes))
        }
    }
}

fn import(
    printer: Printer,
    client: &LicenseClient,
    file: &Path,
    source: &PassphraseSource,
) -> Result<ExitStatus, Error> {
    let stdin = Path::new("-");
    if file == stdin && source.passphrase_file.as_deref() == Some(stdin) {
        let sentence = "The key and its passphrase can't both come from standard input.";
        let hint = "`coditect sync keys import FILE --passphrase-file -` reads the passphrase from there.";
        return Ok(printer.failure(sentence, hint, "usage", ExitStatus::Usage));
    }
    let text = read(file, |text| exported_key_id(&decoded(text)).is_some())?;
    // A text that is no export is refused before the user types a passphrase.
    let passphrase = match exported_key_id(&text) {
        None => String::new(),
        Some(_) => match read_passphrase(source, false)? {
            PassphraseInput::Passphrase(passphrase) => passphrase,
            other => return Ok(other.refuse(printer)),
        },
    };
    let stored = client.import_tenant_key(&text, &passphrase)?;
    Ok(printer.answer(&stored, &describe(&stored), ExitStatus::Yes))
}

fn remove(printer: Printer, client: &LicenseClient, yes: bool) -> Result<ExitStatus, Error> {
    if !yes {
        let Some(mut terminal) = Terminal::open().filter(|_| !printer.json) else {
            let hint = "`coditect sync keys remove --yes` forgets the key.";
            return Ok(printer.failure(
                &REMOVE_WARNING.replace('\n', " "),
                hint,
                "confirmation_needed",
                ExitStatus::No,
            ));
        };
        if !confirms(&mut terminal, &format!("{REMOVE_WARNING}\nType yes to forget the key: "))? {
            let hint = "`coditect sync keys remove` asks again.";
            return Ok(printer.failure("The key was kept.", hint, "not_confirmed", ExitStatus::No));
        }
    }
    let removed = client.remove_tenant_key()?;
    let key_id = removed.map(|key| key.key_id);
    let text = format!(
        "The key {}is not on this machine any more.",
        key_id.iter().map(|id| format!("{id} ")).collect::<String>()
    );
    Ok(printer.answer(&json!({ "removed": key_id }), &text, ExitStatus::Yes))
}

fn confirms(terminal: &mut Terminal, question: &str) -> Result<bool, Error> {
    Ok(terminal.prompt(question).map_err(terminal_error)?.as_deref() == Some("yes"))
}

fn status(printer: Printer, client: &LicenseClient) -> Result<ExitStatus, Error> {
    let status = client.tenant_key()?;
    let mut lines = vec![match &status.key {
        Some(key) => format!("key here      {}\nfingerprint   {}", key.key_id, key.fingerprint),
        None if status.cloud_key_id.is_some() => "key here      none: nothing can be sent from here".to_owned(),
        None => "key here      none: contents travel in clear".to_owned(),
    }];
    lines.push(match (&status.cloud_key_id, status.cloud_asked) {
        (Some(key_id), _) => format!("cloud knows   {key_id}"),
        (None, true) => "cloud knows   none: nothing encrypted was sent yet".to_owned(),
        (None, false) => "cloud knows   it did not say".to_owned(),
    });
    if status.locked > 0 {
        lines.push(format!("locked        {} records can't be read here", status.locked));
    }
    if let Some(next_step) = next_step(&status) {
        lines.push(next_step.to_owned());
    }
    Ok(printer.answer(&status, &lines.join("\n"), ExitStatus::Yes))
}

/// Returns the command to run next, if there is one.
fn next_step(status: &KeyStatus) -> Option<&'static str> {
    let here = status.key.as_ref().map(|key| &key.key_id);
    if status.cloud_key_id.is_some() && status.cloud_key_id.as_ref() != here {
        return Some("`coditect sync keys import FILE` takes over the key from a machine that has it.");
    }
    if status.locked > 0 {
        return Some("`coditect sync keys import FILE` opens what is locked.");
    }
    here.is_none().then_some("`coditect sync keys init` makes a key.")
}

fn describe(stored: &KeyTaken) -> String {
    let new = if stored.new { "is on this machine now" } else { "was on this machine already" };
    let mut lines = vec![format!("The key {} {new}.", stored.key.key_id)];
    lines.push(format!("fingerprint   {}", stored.key.fingerprint));
    if stored.unlocked > 0 {
        lines.push(format!("{} records that were locked can be read now.", stored.unlocked));
    }
    if stored.queued > 0 {
        lines.push(format!(
            "{} records that the cloud has in clear, or under another key, are encrypted by the next `coditect sync push`.",
            stored.queued
        ));
    }
    lines.join("\n")
}

/// Result of reading a passphrase.
enum PassphraseInput {
    Passphrase(String),
    /// There is no terminal to ask at.
    NoTerminal,
    /// The person gave up, or typed two different ones.
    Unusable(&'static str),
}

impl PassphraseInput {
    fn refuse(self, printer: Printer) -> ExitStatus {
        let hint = "`--passphrase-file FILE` reads it from a file, or from standard input where FILE is -.";
        match self {
            Self::Unusable(sentence) => printer.failure(sentence, hint, "no_passphrase", ExitStatus::No),
            _ => printer.failure(
                "There is no terminal to ask for the passphrase.",
                hint,
                "no_passphrase",
                ExitStatus::No,
            ),
        }
    }
}

fn read_passphrase(source: &PassphraseSource, twice: bool) -> Result<PassphraseInput, Error> {
    if let Some(path) = &source.passphrase_file {
        // Editors end the last line, too.
        let text = read(path, |text| text.ends_with(b"\n"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(PassphraseInput::Passphrase(text.strip_suffix('\r').unwrap_or(text).to_owned()));
    }
    let Some(mut terminal) = Terminal::open() else { return Ok(PassphraseInput::NoTerminal) };
    let gave_up = PassphraseInput::Unusable("No passphrase was typed.");
    let Some(first) = terminal.prompt_hidden("Passphrase: ", |_| false).map_err(terminal_error)? else {
        return Ok(gave_up);
    };
    if twice {
        match terminal.prompt_hidden("Once more:  ", |_| false).map_err(terminal_error)? {
            None => return Ok(gave_up),
            Some(second) if nfc(&second) != nfc(&first) => {
                return Ok(PassphraseInput::Unusable("These are two different passphrases."));
            }
            Some(_) => {}
        }
    }
    Ok(PassphraseInput::Passphrase(first))
}

/// Reads a file, or standard input; a pipe that stays open is read until it is `whole`.
fn read(path: &Path, whole: impl Fn(&[u8]) -> bool) -> Result<String, Error> {
    let bytes = if path == Path::new("-") {
        read_stdin(MAX_LEN, whole)?
    } else {
        let read = File::open(path).and_then(|file| read_whole(file, MAX_LEN, whole));
        read.map_err(|cause| Error::File { path: path.to_owned(), cause })?
    };
    Ok(decoded(&bytes).into_owned())
}

fn terminal_error(cause: io::Error) -> Error {
    Error::File { path: "/dev/tty".into(), cause }
}
