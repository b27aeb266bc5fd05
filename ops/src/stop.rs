//! Stops long-running commands at SIGTERM or SIGINT.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{self, Receiver};

use crate::printer::Failure;

/// Returns a receiver that becomes true at SIGTERM or SIGINT: work under way is finished, and no more is begun.
///
/// # Errors
/// When signals can't be listened for.
pub fn shutdown_receiver() -> Result<Receiver<bool>, Failure> {
    let broken = |e: std::io::Error| Failure::Broken(format!("Signals can't be listened for: {e}."));
    let (mut term, mut int) =
        (signal(SignalKind::terminate()).map_err(broken)?, signal(SignalKind::interrupt()).map_err(broken)?);
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        let _ = sender.send(true);
        // The sender lives until the last receiver is dropped.
        sender.closed().await;
    });
    Ok(receiver)
}
