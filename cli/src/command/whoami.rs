//! `coditect whoami`

use coditect::{Error, LicenseClient, LicenseKey, SignedIn};
use serde_json::{Value, json};

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

pub(super) fn whoami(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let client = client(printer, common)?;
    let who = client.signed_in()?;
    let given = client.given_key()?.map(LicenseKey::redacted);
    let key_is_given = given.is_some();
    let key = match given {
        Some(key) => Some(key),
        None => client.license_key()?.map(|key| key.redacted()),
    };
    let status = if who.is_some() { ExitStatus::Yes } else { ExitStatus::No };
    let mut object = json!({
        "signed_in": who.is_some(),
        "profile": client.profile().as_str(),
        "license_key": key,
        "license_key_is_given": key_is_given,
        "seats_for": seats_for(who.is_some() && !key_is_given, key.is_some()),
    });
    if let (Some(object), Some(Ok(Value::Object(fields)))) =
        (object.as_object_mut(), who.as_ref().map(serde_json::to_value))
    {
        object.extend(fields);
    }
    Ok(printer.answer(&object, &describe(&client, who.as_ref(), key.as_deref(), key_is_given), status))
}

/// Returns the kind of owner of the seats that this machine takes.
fn seats_for(signed_in: bool, key: bool) -> &'static str {
    match (signed_in, key) {
        (true, _) => "person",
        (false, true) => "license_key",
        (false, false) => "nobody",
    }
}

fn describe(client: &LicenseClient, who: Option<&SignedIn>, key: Option<&str>, key_is_given: bool) -> String {
    let mut lines = Vec::new();
    match who {
        Some(who) => {
            let name = who.name.as_ref().filter(|name| **name != who.to_string());
            lines.push(format!("signed in    {who}{}", name.map(|name| format!(" ({name})")).unwrap_or_default()));
            lines.push(format!("subject      {}", who.subject));
            let tenant =
                who.tenant_id.map_or_else(|| "known after the first seat".to_owned(), |tenant| tenant.to_string());
            lines.push(format!("organization {tenant}"));
            lines.push(format!("provider     {}", who.issuer));
            lines.push(format!("since        {}", who.signed_in_at));
            let then = if who.renewable { "renewed by itself" } else { "then sign in again" };
            lines.push(format!("token        until {}, {then}", who.token_until));
        }
        None => lines.push("signed in    nobody; `coditect login` signs in".to_owned()),
    }
    lines.push(format!("profile      {}", client.profile()));
    lines.push(match (who, key) {
        (_, Some(key)) if key_is_given => format!("license key  {key}, from CODITECT_LICENSE_KEY; seats are the key's"),
        (Some(_), Some(key)) => format!("license key  {key}; seats are yours, not the key's, while you are signed in"),
        (None, Some(key)) => format!("license key  {key}; seats are the key's"),
        (_, None) => "license key  none".to_owned(),
    });
    // Names, addresses and issuers are the provider's words.
    lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n")
}
