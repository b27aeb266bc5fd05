//! Errors of a sign-in.

use std::fmt;
use std::io;
use std::time::Duration;

use jiff::SignedDuration;
use protocol::token::TokenError;

use super::Outage;
use crate::remaining::about;

/// Reason why a user is not signed in, or no longer.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignInError {
    /// The cloud names no identity provider.
    NotOffered,
    /// An organization's own provider was named, but this program's client id at it is not known.
    NoClientId,
    /// The provider did not answer.
    Away(Box<Outage>),
    /// The server that answers is not an identity provider.
    Rubbish {
        /// The address.
        url: String,
    },
    /// The provider names another issuer than the one that was asked.
    WrongIssuer {
        /// The issuer that was asked.
        asked: String,
        /// The issuer that the provider names.
        claimed: String,
    },
    /// The provider has no sign-in with a browser elsewhere (device authorization grant).
    NoDeviceSignIn {
        /// The provider.
        issuer: String,
    },
    /// No port of this machine can be opened for the browser's answer.
    Port(io::Error),
    /// The browser brought the answer to another sign-in.
    WrongState,
    /// The user, or the provider, has refused.
    Denied,
    /// No answer came from the browser in time.
    NobodyCame {
        /// Time for which the answer was awaited.
        waited: Duration,
    },
    /// The code was not entered in time.
    CodeExpired,
    /// The provider refuses, with a reason in its own words.
    Refused {
        /// The provider's words.
        reason: String,
    },
    /// The provider's answer has no ID token.
    NoIdToken,
    /// The ID token cannot be trusted.
    Token(TokenError),
    /// The sign-in is over, and cannot be renewed.
    Ended,
    /// The user's organization is not known yet.
    NoTenant,
}

impl SignInError {
    /// Returns the stable error code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOffered => "sign_in_not_offered",
            Self::NoClientId => "no_client_id",
            Self::Away(_) => "provider_unavailable",
            Self::Rubbish { .. } => "not_a_provider",
            Self::WrongIssuer { .. } => "wrong_issuer",
            Self::NoDeviceSignIn { .. } => "no_device_sign_in",
            Self::Port(_) => "no_port",
            Self::WrongState => "wrong_state",
            Self::Denied => "sign_in_denied",
            Self::NobodyCame { .. } => "sign_in_timeout",
            Self::CodeExpired => "sign_in_code_expired",
            Self::Refused { .. } => "sign_in_refused",
            Self::NoIdToken => "no_id_token",
            Self::Token(_) => "untrusted_id_token",
            Self::Ended => "sign_in_ended",
            Self::NoTenant => "no_tenant",
        }
    }

    /// Returns true if the error is an answer, and not a fault.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::NotOffered | Self::Denied | Self::CodeExpired | Self::NobodyCame { .. } | Self::Ended)
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NotOffered => {
                "`coditect activate` stores a license key; `coditect login --sso ISSUER` signs in with your \
                                 organization's own provider."
                    .into()
            }
            Self::NoClientId => "`coditect login --sso ISSUER --client-id ID`; your administrator has both.".into(),
            Self::Away(outage) => outage.hint(),
            Self::Rubbish { .. } | Self::WrongIssuer { .. } => {
                "`coditect login --sso ISSUER` names another provider; `coditect config list` shows which one is used."
                    .into()
            }
            Self::NoDeviceSignIn { .. } => {
                "`coditect login --no-browser` prints an address to open in a browser on this machine.".into()
            }
            Self::Port(_) => "`coditect login --device` needs none.".into(),
            Self::NobodyCame { .. } => {
                "`coditect login` again; with a browser on another machine, `coditect login --device`.".into()
            }
            Self::Token(TokenError::Algorithm) | Self::NoIdToken => {
                "Ask your provider's administrator for ID tokens that are signed with RS256.".into()
            }
            Self::Refused { .. } => {
                "`coditect login` begins anew. If it is refused again, show this to your provider's administrator."
                    .into()
            }
            Self::Ended => "`coditect login` signs in again; `coditect logout` goes back to the license key.".into(),
            Self::NoTenant => "`coditect run true` takes a seat once, which tells it.".into(),
            Self::WrongState | Self::Denied | Self::CodeExpired | Self::Token(_) => {
                "`coditect login` begins anew.".into()
            }
        }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("This cloud has no sign-in. It is used with license keys."),
            Self::NoClientId => f.write_str("It is not known what this program is called at that provider."),
            Self::Away(outage) => {
                write!(f, "The identity provider cannot be reached at {} ({}).", outage.url, outage.cause)
            }
            Self::Rubbish { url } => write!(f, "What answers at {url} is no identity provider."),
            Self::WrongIssuer { asked, claimed } => {
                write!(f, "The identity provider at {asked} says that it is {claimed:?}, so it is not trusted.")
            }
            Self::NoDeviceSignIn { issuer } => write!(f, "{issuer} has no sign-in with a browser on another machine."),
            Self::Port(cause) => write!(f, "No port can be opened for the browser's answer: {cause}."),
            Self::WrongState => f.write_str("The browser brought the answer to another sign-in, so it is not used."),
            Self::Denied => f.write_str("The sign-in was refused."),
            Self::NobodyCame { waited } => {
                write!(f, "Nobody has signed in within {}.", about((*waited).try_into().unwrap_or(SignedDuration::MAX)))
            }
            Self::CodeExpired => f.write_str("The code was not entered in time."),
            Self::Refused { reason } => {
                write!(f, "The identity provider refuses: {}.", reason.trim().trim_end_matches('.'))
            }
            Self::NoIdToken => f.write_str("The identity provider has not said who signed in."),
            Self::Token(error) => write!(f, "The identity provider's answer cannot be trusted. {error}"),
            Self::Ended => f.write_str("Your sign-in has ended."),
            Self::NoTenant => f.write_str("It is not known yet which organization you belong to."),
        }
    }
}

impl From<SignInError> for super::Error {
    fn from(error: SignInError) -> Self {
        Self::SignIn(error)
    }
}
