//! State that all parts of one client share: its machine, its home folder, and its connection to the cloud. It knows no
//! feature.

use std::sync::OnceLock;

use local::clock::TrustedClock;
use local::command_count::CommandCount;
use local::home::Home;
use local::instance;
use local::notice::Notify;
use local::vault::Vault;
use protocol::id::{HardwareId, InstanceId};
use protocol::key::{KeyError, LicenseKey};

use crate::cloud::Cloud;
use crate::discovery::DiscoveryCache;
use crate::token_cache::TokenCache;

/// State of a client; all its clones, seats and contexts share it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) home: Home,
    pub(crate) vault: Vault,
    pub(crate) machine: HardwareId,
    pub(crate) instance: OnceLock<InstanceId>,
    pub(crate) time: TrustedClock,
    pub(crate) cloud: Cloud,
    pub(crate) discovery: DiscoveryCache,
    pub(crate) notify: Notify,
    /// License key of the environment, which takes precedence over all that is stored.
    pub(crate) given_key: Option<Result<LicenseKey, KeyError>>,
    /// Token of requests to the cloud, for as long as it is valid.
    pub(crate) tokens: TokenCache,
}

impl Core {
    /// Returns the id of this home folder, one of those that share the machine's seat.
    pub(crate) fn instance(&self) -> InstanceId {
        *self.instance.get_or_init(|| instance::identify(&self.home))
    }

    /// Returns the count of this home folder's commands, as of now.
    pub(crate) fn command_count(&self) -> CommandCount<'_> {
        CommandCount::new(&self.vault, &self.time.clock())
    }

    /// Reports whether the cloud's answers about licenses are kept for later processes. With a key of the environment
    /// none is: it is for machines that end with their job, and what is kept here may be another license's.
    pub(crate) fn keeps_answers(&self) -> bool {
        self.given_key.is_none()
    }
}
