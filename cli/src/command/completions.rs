//! `coditect completions SHELL` and `coditect man --output DIR`

use std::fs;
use std::path::Path;

use clap_complete::Shell;
use coditect::Error;
use serde_json::json;

use crate::arguments::Arguments;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, display_path};

/// Prints what a shell reads to complete this program's arguments.
pub(super) fn completions(printer: Printer, shell: Shell) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::program(), "coditect", &mut script);
    printer.text(&String::from_utf8_lossy(&script))
}

/// Writes a manual page for this program, and one for each command.
pub(super) fn man(printer: Printer, folder: &Path) -> Result<ExitStatus, Error> {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::program(), folder));
    written.map_err(|cause| Error::File { path: folder.to_owned(), cause })?;
    let text = format!("The manual pages are in {}.", display_path(folder));
    Ok(printer.answer(&json!({ "folder": folder.to_string_lossy() }), &text, ExitStatus::Yes))
}
