//! `coditect login`

use std::time::Duration;

use coditect::{Error, LicenseClient, SignedIn, Sso};

use super::{browser, client, warn_of_environment_key};
use crate::arguments::{Common, LoginArguments};
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

/// Timeout of a sign-in in the browser.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn login(printer: Printer, common: &Common, arguments: &LoginArguments) -> Result<ExitStatus, Error> {
    let client = client(printer, common)?;
    let sso = arguments.sso.clone().map(|issuer| Sso { issuer, client_id: arguments.client_id.clone() });
    let who = if arguments.device {
        sign_in_with_code(printer, &client, sso.as_ref())?
    } else {
        sign_in_with_browser(printer, &client, sso.as_ref(), !arguments.no_browser)?
    };
    warn_of_environment_key(printer, &client);
    let mut text = format!("Signed in as {}.", one_line(&who.to_string()));
    if !who.renewable {
        text.push_str(&format!("\nYour provider gives no refresh token: sign in again after {}.", who.token_until));
    }
    Ok(printer.answer(&who, &text, ExitStatus::Yes))
}

fn sign_in_with_browser(
    printer: Printer,
    client: &LicenseClient,
    sso: Option<&Sso>,
    open: bool,
) -> Result<SignedIn, Error> {
    let sign_in = client.begin_sign_in(sso)?;
    let print = move |url: &str| {
        printer.instruction(&format!("Open this address in a browser on this machine to sign in:\n\n    {url}\n"));
    };
    if open {
        printer.notice("Sign in in your browser, which is being opened. Ctrl-C gives up.");
        browser::open(sign_in.url(), print);
    } else {
        print(sign_in.url());
    }
    sign_in.finish(SIGN_IN_TIMEOUT)
}

fn sign_in_with_code(printer: Printer, client: &LicenseClient, sso: Option<&Sso>) -> Result<SignedIn, Error> {
    let sign_in = client.begin_device_sign_in(sso)?;
    let time = match sign_in.remaining().as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    printer.instruction(&format!(
        "Open this address in any browser, and enter the code within {time}:\n\n    {}\n    {}\n",
        one_line(sign_in.url()),
        one_line(sign_in.code())
    ));
    if let Some(url) = sign_in.complete_url() {
        printer.instruction(&format!("Or open this one, and compare the code:\n\n    {}\n", one_line(url)));
    }
    sign_in.finish()
}
