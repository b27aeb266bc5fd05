//! Mail transport: by SMTP, or to standard output where no server is configured.

use std::cell::RefCell;
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use common::{Setup, config};
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use crate::mail_template::MailTemplate;

/// Timeout of sending a mail: a server may take its time to accept it, but not longer than a lease.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// SMTP replies about a missing or insufficient login: a server may send them to any command.
const LOGIN_REFUSALS: [u16; 4] = [530, 534, 535, 538];

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Mail transport as configured.
pub struct Mailer {
    /// The sender of all mail.
    pub from: Mailbox,
    smtp: Option<Smtp>,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

struct Smtp {
    builder: AsyncSmtpTransportBuilder,
    transport: RefCell<Transport>,
}

/// Error of a mail that was not sent.
#[derive(Debug)]
pub enum SendError {
    /// A later attempt may succeed.
    Transient(String),
    /// The server accepts mail, but not this one.
    Permanent(String),
}

impl Mailer {
    /// Makes the mail transport of this deployment. Connections are opened when there is something to send, and used again.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let builder = setup.optional(&config::SMTP_URL, parse_smtp_url);
        let from = setup.defaulted(&config::MAIL_FROM, |value| {
            value.parse().map_err(|_| "must be an e-mail address, perhaps with a name in front".to_owned())
        });
        let (builder, from): (_, Mailbox) = (builder?, from?);
        let smtp = builder.map(|(builder, named)| {
            // Many relays refuse a client that calls itself an address literal.
            let builder =
                if named { builder } else { builder.hello_name(ClientId::Domain(from.email.domain().to_owned())) };
            Smtp { transport: RefCell::new(builder.clone().build()), builder }
        });
        Some(Self { from, smtp })
    }

    /// Returns true if there is no server, so that mail is printed.
    #[must_use]
    pub fn prints(&self) -> bool {
        self.smtp.is_none()
    }

    /// Returns a mail's id, made from its entry's, so that a mail that was sent twice is recognized as one.
    #[must_use]
    pub fn message_id(&self, entry: Uuid) -> String {
        format!("<{entry}@{}>", self.from.email.domain())
    }

    /// Sends a mail. It is sent when the server has accepted it.
    ///
    /// # Errors
    /// The reason why it was not sent, or not certainly.
    pub async fn send(&self, entry: Uuid, to: &Mailbox, template: &MailTemplate) -> Result<(), SendError> {
        let Some(smtp) = &self.smtp else { return Ok(()) };
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(&template.subject)
            .date_now()
            .message_id(Some(self.message_id(entry)))
            // Automatic replies, such as out-of-office messages, are suppressed (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .singlepart(SinglePart::plain(template.text.clone()))
            .map_err(|e| SendError::Permanent(format!("The mail could not be written: {e}.")))?;
        smtp.send(message.envelope(), &message.formatted()).await
    }

    /// Closes the connections to the server.
    pub async fn close(&self) {
        if let Some(smtp) = &self.smtp {
            let transport = smtp.transport.borrow().clone();
            let _ = timeout(Duration::from_secs(1), transport.shutdown()).await;
        }
    }
}

impl Smtp {
    async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), SendError> {
        let transport = self.transport.borrow().clone();
        match timeout(SEND_TIMEOUT, transport.send_raw(envelope, mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => {
                let message = e.source().map_or_else(|| e.to_string(), ToString::to_string);
                let message = match e.status() {
                    Some(code) => format!("The mail server answered {code} {message}"),
                    None => format!("The mail server could not be used: {message}"),
                };
                // A refusal of ourselves, for a wrong password for instance, doesn't mean a wrong recipient.
                let login = e.status().is_some_and(|code| LOGIN_REFUSALS.contains(&code.into()));
                let about_this_mail =
                    (e.is_permanent() || e.is_client()) && !login && accepts_connections(&transport).await;
                Err(if about_this_mail { SendError::Permanent(message) } else { SendError::Transient(message) })
            }
            Err(_) => {
                // The connection is left in the middle of an answer: its next user would take that for its own.
                self.transport.replace(self.builder.clone().build());
                Err(SendError::Transient(format!("The mail server did not answer within {} s", SEND_TIMEOUT.as_secs())))
            }
        }
    }
}

/// Returns true if the server accepts us at all: connection, TLS and login.
async fn accepts_connections(transport: &Transport) -> bool {
    matches!(timeout(CONNECT_TIMEOUT, transport.test_connection()).await, Ok(Ok(true)))
}

/// Parses `SMTP_URL`; the second value is true if it has the name that we send with EHLO.
fn parse_smtp_url(value: &str) -> Result<(AsyncSmtpTransportBuilder, bool), String> {
    let wrong = || "must be smtps://user:password@host:465, or smtp://host:587?tls=required".to_owned();
    let url = Url::parse(value).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let tls = url.scheme() == "smtps" || url.query_pairs().any(|(k, v)| k == "tls" && v == "required");
    if url.password().is_some() && !tls && !loopback {
        return Err("sends a password, which needs TLS: use smtps://, or add ?tls=required".to_owned());
    }
    let builder = Transport::from_url(value).map_err(|_| wrong())?.timeout(Some(CONNECT_TIMEOUT));
    Ok((builder, url.path().len() > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer_from(variables: &[(&str, &str)]) -> (Option<Mailer>, Vec<String>) {
        let mut setup = Setup::from_variables(variables.iter().copied());
        let mailer = Mailer::from_setup(&mut setup);
        (mailer, setup.mistakes().iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_password_goes_over_tls_alone_and_into_no_message() {
        for url in [
            "smtp://relay.example.com",
            "smtp://relay.example.com:2525?tls=opportunistic",
            "smtps://ann:s3cret@relay.example.com",
            "smtp://ann:s3cret@relay.example.com?tls=required",
            "smtp://ann:s3cret@127.0.0.1:2525",
            "smtp://ann:s3cret@localhost:2525/hello.example.com",
        ] {
            common::serve::install_crypto();
            let (mailer, mistakes) = mailer_from(&[("SMTP_URL", url)]);
            assert!(mailer.is_some_and(|p| !p.prints()), "{url}: {mistakes:?}");
        }
        for url in [
            "smtp://ann:s3cret@relay.example.com",
            "smtp://ann:s3cret@relay.example.com?tls=opportunistic",
            "smtp://ann:s3cret@relay.example.com?tls=never",
            "http://ann:s3cret@relay.example.com",
            "ann:s3cret",
            "smtps://",
        ] {
            let (mailer, mistakes) = mailer_from(&[("SMTP_URL", url), ("MAIL_FROM", "s3cret")]);
            assert!(mailer.is_none() && mistakes.len() == 2, "{url}: {mistakes:?}");
            assert!(!mistakes.iter().any(|m| m.contains("s3cret")), "{mistakes:?}");
        }
        assert!(mailer_from(&[]).0.unwrap().prints());
    }
}
