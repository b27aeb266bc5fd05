//! Identifiers. A value of these types is known to be well formed, so that no code behind the boundary checks it again.

mod hardware;
mod text;

pub use hardware::{HardwareId, HardwareIdError};
pub use text::{
    ClientVersion, CommandName, DeviceId, Hostname, IdempotencyKey, PlanCode, ProjectId, RecordId, ReturnUrl,
    SystemName, TaskStatus, TextError,
};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Error of a text that is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdError {
    what: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "This is not a {} id: it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057. \
             Copy it again, whole.",
            self.what
        )
    }
}

impl std::error::Error for IdError {}

/// Defines one id type per noun, so that a session can never be passed where a license is meant.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(
            value_type = String, format = Uuid, example = "01890a5d-ac96-774b-bcce-b302099a8057"
        ))]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id (UUIDv7: ids made later sort later).
            #[expect(clippy::new_without_default, reason = "every call gives another id, which no default should")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Returns the id that a database row or a message holds.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// Returns the bare UUID, for the database.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text.trim()).map(Self).map_err(|_| IdError { what: $what })
            }
        }
    )*};
}

ids! {
    /// An organization. Every row belongs to exactly one.
    TenantId = "tenant";
    /// A person in a tenant.
    UserId = "user";
    /// A tenant's right to use a plan.
    LicenseId = "license";
    /// One holder's time on a seat.
    SessionId = "session";
    /// A command line on a machine, as long as its user has telemetry turned on.
    InstallationId = "installation";
    /// An instance of the client, such as a person's home folder or a container; several share a machine's session.
    InstanceId = "instance";
}
