//! Errors of the library, as sentences, each with the command that helps.

mod context;
mod ending;
mod home;
mod hook;
mod keychain;
mod keys;
mod outage;
mod refusal;
mod sign_in;
mod update;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use protocol::id::HardwareIdError;
use protocol::key::KeyError;
use protocol::problem::{Code, ProblemDocument};
use protocol::token::TokenError;

use crate::file_owner::{foreign, reopen};
use crate::{Allowance, environment};

pub use context::ContextError;
pub use ending::Ending;
pub use home::HomeFault;
pub use hook::HookError;
pub use keychain::KeychainFault;
pub use keys::{ExportFault, KeysError};
pub use outage::{Fault, Outage};
pub use refusal::Refusal;
pub use sign_in::SignInError;
pub use update::UpdateError;

/// Error of a call that could not be answered, or whose answer is a refusal.
///
/// [`Display`](fmt::Display) says what happened, [`Error::hint`] which command helps, [`Error::code`] is for programs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No license key has been activated here.
    NoKey,
    /// The text is not a license key.
    Key(KeyError),
    /// The value of `CODITECT_LICENSE_KEY` is not a license key.
    KeyVariable(KeyError),
    /// Today's commands are used up.
    UsedUp(Allowance),
    /// The cloud answered, and the answer is a problem.
    Refused(Box<Refusal>),
    /// The cloud did not answer, or cannot at the moment.
    Unavailable(Box<Outage>),
    /// The cloud sent a token that cannot be believed.
    Untrusted(TokenError),
    /// An address that secrets must not be sent to, or that is none.
    Address {
        /// The address.
        url: String,
        /// Reason why it cannot be used.
        fault: &'static str,
    },
    /// A file that only its owner may read can be read by others.
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// Cause of the failure.
        cause: io::Error,
    },
    /// A sealed file was changed, or sealed on another machine.
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// A file is sealed under a secret that the keychain has, and does not give.
    Keychain {
        /// The file.
        path: PathBuf,
        /// Reason why the keychain does not give it.
        fault: KeychainFault,
    },
    /// `config.json` is not what this program writes.
    Settings {
        /// The file.
        path: PathBuf,
        /// Error of the parser.
        cause: serde_json::Error,
    },
    /// There is no home folder to keep things in.
    NoHome,
    /// The home folder cannot be used.
    Home {
        /// The folder.
        path: PathBuf,
        /// The reason why it cannot be used.
        fault: HomeFault,
    },
    /// A profile cannot have this name.
    Profile {
        /// The name's beginning.
        name: String,
    },
    /// `CODITECT_HARDWARE_ID` is not an id.
    HardwareId(HardwareIdError),
    /// No user is signed in, or no longer.
    SignIn(SignInError),
    /// Error of the context that is stored here, or of its sync.
    Context(ContextError),
    /// Error of an agent's hook.
    Hook(HookError),
    /// Error about the tenant's key.
    Keys(KeysError),
    /// Error about a new version of this program.
    Update(Box<UpdateError>),
}

impl Error {
    /// Returns the stable error code for programs; the server's own code for a problem document of the server.
    pub fn code(&self) -> &str {
        match self {
            Self::NoKey => "no_license_key",
            Self::Key(_) | Self::KeyVariable(_) => "invalid_format",
            Self::UsedUp(_) => "quota_exceeded",
            Self::Refused(refusal) => &refusal.problem.code,
            Self::Unavailable(_) => "cloud_unavailable",
            Self::Untrusted(_) => "untrusted_token",
            Self::Address { .. } => "invalid_address",
            Self::Exposed { .. } => "exposed_file",
            Self::File { .. } => "file_failed",
            Self::Sealed { .. } => "sealed_file",
            Self::Keychain { .. } => "keychain_failed",
            Self::Settings { .. } => "invalid_settings",
            Self::NoHome => "no_home",
            Self::Home { .. } => "unusable_home",
            Self::Profile { .. } => "invalid_profile",
            Self::HardwareId(_) => "invalid_hardware_id",
            Self::SignIn(error) => error.code(),
            Self::Context(error) => error.code(),
            Self::Hook(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Update(error) => error.code(),
        }
    }

    /// Returns advice, with the command that helps.
    pub fn hint(&self) -> String {
        match self {
            Self::NoKey => {
                "`coditect login` signs in; `coditect activate` stores a license key on this machine.".into()
            }
            Self::Key(_) => "`coditect activate KEY` stores your license key on this machine.".into(),
            Self::KeyVariable(_) => {
                "Check the secret that sets CODITECT_LICENSE_KEY; `unset CODITECT_LICENSE_KEY` uses what is stored here."
                    .into()
            }
            Self::UsedUp(_) => "`coditect register` starts an upgrade to as many commands as you like.".into(),
            Self::Refused(refusal) => hint_for(&refusal.problem),
            Self::Unavailable(outage) => outage.hint(),
            Self::Untrusted(_) => {
                "Check this machine's clock, and the address with `coditect config get cloud-url`.".into()
            }
            Self::Address { .. } => "`coditect config set cloud-url https://…` sets another address.".into(),
            Self::Exposed { path, mode } => {
                let wanted = if mode & DIRECTORY == DIRECTORY { "700" } else { "600" };
                format!("`chmod {wanted} {}`, and if the machine has other users, ask for a new key.", path.display())
            }
            Self::File { path, cause } => hint_for_file(path, cause.kind()),
            Self::Sealed { .. } => {
                "`coditect activate` stores a license key anew, `coditect login` signs in again.".into()
            }
            Self::Keychain { fault, .. } => fault.hint().into(),
            Self::Settings { path, .. } => {
                format!("Correct it, or delete it and use `coditect config set`: {}", path.display())
            }
            Self::NoHome => "Set HOME or CODITECT_HOME, or use `coditect --home DIR …`.".into(),
            Self::Home { path, fault } => fault.hint(path),
            Self::Profile { .. } => "`coditect --profile NAME …`, or CODITECT_PROFILE, names a profile.".into(),
            Self::HardwareId(_) => {
                "`unset CODITECT_HARDWARE_ID` makes coditect use the machine's own; `coditect status` shows it.".into()
            }
            Self::SignIn(error) => error.hint(),
            Self::Context(error) => error.hint(),
            Self::Hook(error) => error.hint(),
            Self::Keys(error) => error.hint(),
            Self::Update(error) => error.hint(),
        }
    }

    /// Returns true if the cloud, or its identity provider, could not be asked, so that stored answers may be used.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::SignIn(SignInError::Away(_)))
    }

    /// Returns the error of a call that could not be answered.
    pub fn outage(url: &impl fmt::Display, cause: impl Into<String>, fault: Fault) -> Self {
        Self::Unavailable(Box::new(Outage::new(url, cause, fault)))
    }

    /// Returns the error of a file that cannot be read or written.
    pub fn file(path: &Path, cause: io::Error) -> Self {
        Self::File { path: path.to_owned(), cause }
    }
}

fn hint_for_file(path: &Path, kind: io::ErrorKind) -> String {
    const ELSEWHERE: &str = "`coditect --home DIR …`, or CODITECT_HOME, keeps the files elsewhere.";
    let folder = path.parent().unwrap_or(path).display();
    if kind == io::ErrorKind::PermissionDenied
        && let Some(hint) = foreign(path).and_then(|foreign| foreign.hint()).or_else(|| reopen(path))
    {
        return hint;
    }
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("Make room on the disk: `df -h {folder}` shows how full it is. {ELSEWHERE}")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!(
                "`ls -ld {folder}` shows whose it is, and `findmnt -T {folder}` whether it is read-only. {ELSEWHERE}"
            )
        }
        io::ErrorKind::TimedOut => "End what writes to the pipe, or read from a file: `<FILE`.".to_owned(),
        io::ErrorKind::FileTooLarge => "Give less of it.".to_owned(),
        _ => ELSEWHERE.to_owned(),
    }
}

/// `S_IFDIR`, as it stands in a mode.
const DIRECTORY: u32 = 0o040_000;

fn hint_for(problem: &ProblemDocument) -> String {
    let wait = problem.retry_after_seconds.map(|seconds| format!(" in {seconds} seconds")).unwrap_or_default();
    match problem.known_code() {
        Some(Code::NoSeatsAvailable) => format!("`coditect run -- COMMAND…` again{wait}."),
        Some(Code::InvalidLicenseKey | Code::LicenseInactive) if environment::license_key().is_some() => {
            "Check the secret that sets CODITECT_LICENSE_KEY, and ask your admin whether the license goes on.".into()
        }
        Some(Code::InvalidLicenseKey) => {
            "`coditect validate` says whether the license has ended; `coditect activate KEY` stores another key.".into()
        }
        Some(Code::InvalidToken) => "`coditect login` signs in again.".into(),
        Some(Code::Forbidden) => {
            "`coditect whoami` shows who is signed in; `coditect logout` goes back to the license key.".into()
        }
        Some(Code::LicenseInactive | Code::SessionEnded) => "`coditect validate` asks for the license's state.".into(),
        _ if problem.request_id.is_empty() => format!("`coditect status` shows what is stored here. Try again{wait}."),
        _ => format!("`coditect status` shows what to tell support, with request id {}.", problem.request_id),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("There is no license key on this machine."),
            Self::Key(error) => error.fmt(f),
            Self::KeyVariable(error) => write!(f, "CODITECT_LICENSE_KEY: {error}"),
            Self::UsedUp(today) => {
                let (limit, next_day) = (today.limit, today.next_day());
                write!(f, "Today's {limit} commands are used up. The next {limit} come {next_day}.")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unavailable(outage) => outage.fmt(f),
            Self::Untrusted(error) => write!(f, "The cloud's answer cannot be trusted. {error}"),
            Self::Address { url, fault } => write!(f, "{url:?} cannot be used: {fault}"),
            Self::Exposed { path, mode } => {
                let mode = mode & 0o777;
                write!(f, "{} can be read or changed by others (mode {mode:o}), so it is not used.", path.display())
            }
            Self::File { path, cause } => {
                write!(f, "{} cannot be used: {cause}.", path.display())?;
                match foreign(path).filter(|_| cause.kind() == io::ErrorKind::PermissionDenied) {
                    Some(foreign) => write!(f, " {}", foreign.sentence()),
                    None => Ok(()),
                }
            }
            Self::Sealed { path } => {
                write!(f, "{} was changed, or comes from another machine, and cannot be opened.", path.display())
            }
            Self::Keychain { path, fault } => write!(f, "{} cannot be opened: {fault}.", path.display()),
            Self::Settings { path, cause } => write!(f, "{} is not a settings file: {cause}.", path.display()),
            Self::Home { path, fault } => fault.write(f, path),
            Self::NoHome => f.write_str("There is no home folder to keep the license key in."),
            Self::Profile { name } => write!(
                f,
                "{name:?} is no name of a profile: letters, digits, -, _ and ., beginning with a letter or digit, and at most 64."
            ),
            Self::HardwareId(error) => write!(f, "CODITECT_HARDWARE_ID is not usable. {error}"),
            Self::SignIn(error) => error.fmt(f),
            Self::Context(error) => error.fmt(f),
            Self::Hook(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
            Self::Update(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { cause, .. } => Some(cause),
            Self::Settings { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
