//! Texts of our mails: the event, and the next step for the reader.

use common::outbox::{About, Mail};
use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;

/// Subject and text of a mail.
#[derive(PartialEq, Eq)]
pub struct MailTemplate {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Leaves out the text, which may hold a license key.
impl std::fmt::Debug for MailTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailTemplate").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Error of a mail that can't be written.
#[derive(Debug, PartialEq, Eq)]
pub enum MailTemplateError {
    /// The mail is about a key, and the entry has none.
    MissingKey,
    /// A time that no calendar has.
    InvalidTime,
}

impl MailTemplate {
    /// Writes a mail to a tenant.
    ///
    /// # Errors
    /// When the mail lacks a key or a time that it has to state.
    pub fn render(mail: &Mail, tenant: &str, key: Option<&str>) -> Result<Self, MailTemplateError> {
        let license = format!("CODITECT {} license", line(&mail.plan));
        let (subject, text) = match &mail.about {
            About::LicenseKey { seats, replaces_key_until: None } => {
                license_key(&line(&mail.plan), *seats, key.ok_or(MailTemplateError::MissingKey)?)
            }
            About::LicenseKey { replaces_key_until: Some(until), .. } => {
                another_key(&license, *until, key.ok_or(MailTemplateError::MissingKey)?)?
            }
            About::PaymentFailed { action_required, url } => payment_failed(&license, *action_required, url.as_deref()),
            About::TrialEnding { at } => trial_ending(&license, &day(*at)?),
            About::Ending { at } => ending(&license, *at, &day(*at)?),
            About::Suspended { reason } => suspended(&license, reason),
        };
        let text = format!("{text}\n\nOrganization: {}\nLicense: {}\n", line(tenant), mail.license_id);
        Ok(Self { subject, text })
    }
}

/// Returns the recipient of a mail: the address that it names, or else the tenant's owner.
///
/// # Errors
/// A sentence, when there is no recipient or it is no address.
pub fn recipient(named: Option<&str>, owner: Option<&str>, tenant: &str) -> Result<Mailbox, String> {
    let address = named.map(str::trim).filter(|a| !a.is_empty()).or(owner);
    let address = address.ok_or_else(|| {
        "There is nobody to send it to: it names no address, and its tenant has no owner. Add one with `ops user add --role owner`, then retry it.".to_owned()
    })?;
    let email = address.parse::<Address>().map_err(|_| format!("{} is not an e-mail address.", line(address)))?;
    let name = line(tenant);
    Ok(Mailbox::new((!name.is_empty()).then_some(name), email))
}

fn license_key(plan: &str, seats: i32, key: &str) -> (String, String) {
    let seats = if seats == 1 { "1 seat".to_owned() } else { format!("{seats} seats") };
    let text = format!(
        "Thank you for choosing CODITECT. Your license is good from now on: plan {plan}, {seats}.\n\n\
         This is its license key:\n\n    {key}\n\n\
         On each machine that is to use it, run:\n\n    coditect activate {key}\n\n\
         Keep this mail: the key can't be shown again. Whoever has the key can use the license, so give it only to those \
         who are meant to."
    );
    (format!("Your CODITECT license key: {plan}, {seats}"), text)
}

fn another_key(license: &str, until: i64, key: &str) -> Result<(String, String), MailTemplateError> {
    let former = match until > Timestamp::now().as_second() {
        true => format!("The key from before is good until {}, and then no longer.", day(until)?),
        false => "The key from before is no longer good.".to_owned(),
    };
    let text = format!(
        "Your {license} has another license key. {former}\n\n\
         This is the new license key:\n\n    {key}\n\n\
         On each machine that uses this license, run:\n\n    coditect activate {key}\n\n\
         People who sign in with `coditect login` have nothing to do. Keep this mail: the key can't be shown again. Give it \
         only to those who are meant to use the license."
    );
    Ok(("Your CODITECT license has another key".to_owned(), text))
}

fn payment_failed(license: &str, action_required: bool, url: Option<&str>) -> (String, String) {
    let (subject, happened, act) = if action_required {
        ("Confirm your payment for CODITECT", "waits for you to confirm it at your bank", "Confirm it")
    } else {
        ("Your payment for CODITECT failed", "failed", "Pay it, or change the card,")
    };
    let at = match url {
        Some(url) => format!("at this page:\n\n    {}", line(url)),
        None => "in the billing portal, which an owner or admin of your organization can open.".to_owned(),
    };
    let text = format!(
        "The payment for your {license} {happened}. Everything goes on working for now, but if the payment stays open the \
         license will end.\n\n{act} {at}"
    );
    (subject.to_owned(), text)
}

fn trial_ending(license: &str, day: &str) -> (String, String) {
    let text = format!(
        "The trial of your {license} ends on {day}. With a payment method on file it goes on by itself, and you pay from \
         then on; without one it ends.\n\nAdd a payment method, or cancel, in the billing portal, which an owner or admin \
         of your organization can open."
    );
    (format!("Your CODITECT trial ends on {day}"), text)
}

fn ending(license: &str, at: i64, day: &str) -> (String, String) {
    let over = at <= Timestamp::now().as_second();
    let (ends, until) = if over {
        ("ended", "Nobody can start with it any more; on each machine the limits of the free tier apply.")
    } else {
        (
            "ends",
            "Until then everything works as before. After that nobody can start with it any more, and the limits of the free tier apply.",
        )
    };
    let text = format!(
        "The subscription of your {license} is over, and the license {ends} on {day}. {until}\n\nTo go on, subscribe again: \
         an owner or admin of your organization can do so in the billing portal."
    );
    (format!("Your CODITECT license {ends} on {day}"), text)
}

fn suspended(license: &str, reason: &str) -> (String, String) {
    let (happened, act) = match reason {
        "refunded" => {
            ("was refunded", "To go on, subscribe again. If you didn't ask for the refund, write to our support.")
        }
        "disputed" => (
            "is disputed at your bank",
            "When the dispute is settled in favor of the payment, the license comes back by itself. If you didn't mean to dispute it, withdraw the dispute at your bank.",
        ),
        _ => ("was taken back", "To go on, write to our support."),
    };
    let text = format!(
        "The payment for your {license} {happened}, so that the license is suspended: running sessions end at their next \
         heartbeat, and nobody can start with it.\n\n{act}"
    );
    ("Your CODITECT license is suspended".to_owned(), text)
}

fn day(at: i64) -> Result<String, MailTemplateError> {
    let at = Timestamp::from_second(at).map_err(|_| MailTemplateError::InvalidTime)?;
    Ok(at.strftime("%-d %B %Y, %H:%M UTC").to_string())
}

/// Replaces control characters, so that a name that others chose stays within its line.
pub(crate) fn line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use protocol::id::LicenseId;

    use super::*;

    fn rendered(about: About, key: Option<&str>) -> Result<MailTemplate, MailTemplateError> {
        let mail = Mail { to: None, license_id: LicenseId::new(), plan: "TEAM".to_owned(), about };
        MailTemplate::render(&mail, "Acme\r\nBcc: eve@example.com", key)
    }

    #[test]
    fn the_key_is_in_its_mail_with_the_command_that_takes_it() {
        let mail =
            rendered(About::LicenseKey { seats: 5, replaces_key_until: None }, Some("CODITECT-TEAM-A7F3E9D2C4B1-8F2A"))
                .unwrap();
        assert_eq!(mail.subject, "Your CODITECT license key: TEAM, 5 seats");
        assert!(mail.text.contains("\n    coditect activate CODITECT-TEAM-A7F3E9D2C4B1-8F2A\n"), "{}", mail.text);
        assert!(mail.text.contains("can't be shown again") && !format!("{mail:?}").contains("8F2A"));
        assert_eq!(
            rendered(About::LicenseKey { seats: 1, replaces_key_until: None }, None),
            Err(MailTemplateError::MissingKey)
        );
    }

    #[test]
    fn another_key_says_what_becomes_of_the_former_one() {
        let key = Some("CODITECT-TEAM-A7F3E9D2C4B1-8F2A");
        for (until, says) in [(4_102_444_800, "is good until 1 January 2100, 00:00 UTC"), (1, "is no longer good")] {
            let about = About::LicenseKey { seats: 5, replaces_key_until: Some(until) };
            let mail = rendered(about.clone(), key).unwrap();
            assert!(
                mail.text.contains(says) && mail.text.contains("\n    coditect activate CODITECT-TEAM-"),
                "{}",
                mail.text
            );
            assert_eq!(rendered(about, None), Err(MailTemplateError::MissingKey));
        }
    }

    #[test]
    fn every_mail_says_what_happened_what_to_do_and_to_whom() {
        let failed =
            |action_required, url: Option<&str>| About::PaymentFailed { action_required, url: url.map(str::to_owned) };
        let suspended = |reason: &str| About::Suspended { reason: reason.to_owned() };
        for (about, subject, part) in [
            (failed(false, None), "Your payment for CODITECT failed", "billing portal"),
            (failed(true, Some("https://pay.example.com/i")), "Confirm your payment", "    https://pay.example.com/i"),
            (About::TrialEnding { at: 4_102_444_800 }, "trial ends on 1 January 2100, 00:00 UTC", "payment method"),
            (About::Ending { at: 4_102_444_800 }, "license ends on 1 January 2100", "works as before"),
            (About::Ending { at: 1_700_000_000 }, "license ended on 14 November 2023", "free tier"),
            (suspended("refunded"), "is suspended", "was refunded"),
            (suspended("disputed"), "is suspended", "withdraw the dispute"),
        ] {
            let mail = rendered(about, None).unwrap();
            assert!(mail.subject.contains(subject), "{}", mail.subject);
            assert!(mail.text.contains(part) && mail.text.contains("CODITECT TEAM license"), "{}", mail.text);
            assert!(mail.text.contains("\nOrganization: Acme  Bcc: eve@example.com\nLicense: "), "{}", mail.text);
        }
        assert_eq!(rendered(About::TrialEnding { at: i64::MAX }, None), Err(MailTemplateError::InvalidTime));
    }
}
