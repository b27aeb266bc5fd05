//! Stripe's side of the webhook: its events, in the shapes of two API versions, and signatures by its own library.

mod events;
pub mod life;
mod signer;
mod subscription;

pub use events::{Event, Events, Version};
pub use signer::Signer;
pub use subscription::Subscription;
