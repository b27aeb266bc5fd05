//! `coditect logout`

use coditect::{Error, Revocation};
use serde_json::json;

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

pub(super) fn logout(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let client = client(printer, common)?;
    let here = client.is_signed_in()?;
    let out = client.sign_out()?;
    let text = match (&out.who, here) {
        (_, false) => "Nobody was signed in.".to_owned(),
        (Some(who), true) => format!("Signed out {}.", one_line(&who.to_string())),
        (None, true) => "Signed out.".to_owned(),
    };
    if let Revocation::Failed(error) = &out.revocation {
        printer.notice(&format!(
            "The identity provider could not be told, so what it gave ends by itself. {error} To be sure, end this session in \
             your account there."
        ));
    }
    let revoked = matches!(out.revocation, Revocation::Done);
    Ok(printer.answer(&json!({ "signed_out": here, "revoked": revoked }), &text, ExitStatus::Yes))
}
