//! The end of what goes on until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{self, Receiver};

use crate::printer::Failure;

/// Becomes true at SIGTERM or SIGINT: what is under way is finished, nothing else is begun.
///
/// # Errors
/// When signals can't be listened for.
pub fn asked_to() -> Result<Receiver<bool>, Failure> {
    let broken = |e: std::io::Error| Failure::Broken(format!("Signals can't be listened for: {e}."));
    let (mut term, mut int) =
        (signal(SignalKind::terminate()).map_err(broken)?, signal(SignalKind::interrupt()).map_err(broken)?);
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        let _ = tell.send(true);
        // As long as somebody listens.
        tell.closed().await;
    });
    Ok(told)
}
