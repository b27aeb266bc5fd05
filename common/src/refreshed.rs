//! A value that is read from elsewhere and gets old: verification keys, and those of issuers.
//!
//! It is read on a task of its own, one attempt at a time, so that no request waits for a newer value while an old one
//! serves, and a request that is given up stops no attempt. After a failure the old value serves on, and the next attempt
//! pauses. Only callers without a value, or that need a newer one, wait for the attempt, all of them for the same one.

use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;

use crate::problem::Problem;

/// Refresh intervals of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshIntervals {
    /// Maximum age at which it is used without a refresh.
    pub(crate) max_age: Duration,
    /// Pause after a failure, or after a newer value was requested, while there is a value.
    pub(crate) pause: Duration,
}

/// A value with its age.
#[derive(Debug)]
pub(crate) struct Known<T> {
    pub(crate) value: Arc<T>,
    /// Grows with every value that was read.
    pub(crate) version: u64,
    at: Instant,
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

type Attempt<T> = Shared<BoxFuture<'static, Result<Known<T>, Problem>>>;
type Load<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, Problem>> + Send + Sync>;

/// A value that is refreshed in the background; clones share it.
pub(crate) struct Refreshed<T>(Arc<Inner<T>>);

struct Inner<T> {
    name: String,
    intervals: RefreshIntervals,
    load: Load<T>,
    state: RwLock<State<T>>,
}

struct State<T> {
    known: Option<Known<T>>,
    running: Option<(AbortHandle, Attempt<T>)>,
    failed: Option<Instant>,
    /// When a newer value was last requested.
    newer_requested: Option<Instant>,
}

impl<T> Clone for Refreshed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for Refreshed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refreshed").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Refreshed<T> {
    /// Makes a value that is read when it is first needed. `name` is its name in the log.
    pub(crate) fn new<F>(
        name: impl Into<String>,
        intervals: RefreshIntervals,
        load: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let state = State { known: None, running: None, failed: None, newer_requested: None };
        let load: Load<T> = Box::new(move || load().boxed());
        Self(Arc::new(Inner { name: name.into(), intervals, load, state: RwLock::new(state) }))
    }

    /// Returns the value as far as it is known, however old; reloads it in the background when it is too old.
    pub(crate) fn known(&self) -> Option<Known<T>> {
        let RefreshIntervals { max_age, pause } = self.0.intervals;
        let old = {
            let state = self.0.state.read().expect("nothing panics while it holds the lock");
            let has_paused = state.failed.is_none_or(|at| at.elapsed() >= pause);
            match &state.known {
                Some(known) if known.at.elapsed() < max_age || !has_paused => return Some(known.clone()),
                known => known.clone(),
            }
        };
        if old.is_some() {
            drop(self.0.attempt(&mut self.0.write()));
        }
        old
    }

    /// Returns the value. Waits only where there is none yet.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) async fn current(&self) -> Result<Known<T>, Problem> {
        match self.known() {
            Some(known) => Ok(known),
            None => self.reload().await,
        }
    }

    /// Returns a newly read value, because the known one does not do; the known one where that was tried within the pause.
    ///
    /// # Errors
    /// The reason why there is no newer one.
    pub(crate) async fn newer(&self) -> Result<Known<T>, Problem> {
        {
            let mut state = self.0.write();
            let has_looked = state.newer_requested.is_some_and(|at| at.elapsed() < self.0.intervals.pause);
            match &state.known {
                Some(known) if has_looked && !state.is_running() => return Ok(known.clone()),
                _ if has_looked => {}
                _ => state.newer_requested = Some(Instant::now()),
            }
        }
        self.reload().await
    }

    /// Reads the value again, and returns it.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) async fn reload(&self) -> Result<Known<T>, Problem> {
        let attempt = self.0.attempt(&mut self.0.write());
        attempt.await
    }
}

impl<T> State<T> {
    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|(task, _)| !task.is_finished())
    }
}

impl<T: Send + Sync + 'static> Inner<T> {
    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().expect("nothing panics while it holds the lock")
    }

    /// Returns the running attempt, or starts one.
    fn attempt(self: &Arc<Self>, state: &mut State<T>) -> Attempt<T> {
        match &state.running {
            Some((task, attempt)) if !task.is_finished() => return attempt.clone(),
            _ => {}
        }
        let inner = Arc::clone(self);
        let task = tokio::spawn(async move {
            let loaded = (inner.load)().await;
            inner.settle(loaded)
        });
        let handle = task.abort_handle();
        let attempt = async { task.await.unwrap_or_else(|ended| Err(Problem::internal_error(ended))) };
        let attempt = attempt.boxed().shared();
        state.running = Some((handle, attempt.clone()));
        attempt
    }

    fn settle(&self, loaded: Result<T, Problem>) -> Result<Known<T>, Problem> {
        let mut state = self.write();
        state.running = None;
        let now = Instant::now();
        let before = state.known.as_ref().map_or(0, |known| known.version);
        match loaded {
            Ok(value) => {
                let known = Known { value: Arc::new(value), version: before + 1, at: now };
                (state.known, state.failed) = (Some(known.clone()), None);
                Ok(known)
            }
            Err(problem) => {
                state.failed = Some(now);
                if before > 0 {
                    tracing::warn!(
                        of = self.name,
                        cause = problem.internal(),
                        "could not be refreshed; the old serves on"
                    );
                }
                Err(problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const AGED: RefreshIntervals = RefreshIntervals { max_age: Duration::ZERO, pause: Duration::from_secs(3600) };

    /// A value that counts how often it was read, and what comes of the next attempt.
    fn counted(
        intervals: RefreshIntervals,
        answers: tokio::sync::mpsc::UnboundedReceiver<bool>,
    ) -> (Refreshed<usize>, Arc<AtomicUsize>) {
        let (reads, answers) = (Arc::<AtomicUsize>::default(), Arc::new(tokio::sync::Mutex::new(answers)));
        let counted = Arc::clone(&reads);
        let value = Refreshed::new("a test", intervals, move || {
            let (reads, answers) = (Arc::clone(&counted), Arc::clone(&answers));
            async move {
                let number = reads.fetch_add(1, Ordering::SeqCst) + 1;
                match answers.lock().await.recv().await {
                    Some(true) => Ok(number),
                    _ => Err(Problem::unavailable("test", "down")),
                }
            }
        });
        (value, reads)
    }

    async fn settled(value: &Refreshed<usize>) {
        while value.0.write().is_running() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_old_value_serves_while_a_newer_one_does_not_come() {
        let (answers, receiver) = tokio::sync::mpsc::unbounded_channel();
        let (value, reads) = counted(AGED, receiver);
        answers.send(true).unwrap();
        assert_eq!(*value.current().await.unwrap().value, 1);
        // The source hangs: twenty requests get the old one at once, and one attempt runs.
        for _ in 0..20 {
            assert_eq!(*value.current().now_or_never().expect("nobody waits").unwrap().value, 1);
            tokio::task::yield_now().await;
        }
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        // It fails: the old one serves on, and nothing is tried for a while.
        answers.send(false).unwrap();
        settled(&value).await;
        for _ in 0..20 {
            assert_eq!(*value.current().await.unwrap().value, 1);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn whoever_has_none_waits_for_one_attempt() {
        let (answers, receiver) = tokio::sync::mpsc::unbounded_channel();
        let (value, reads) = counted(AGED, receiver);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                tokio::spawn({
                    let value = value.clone();
                    async move { value.current().await.map(|known| *known.value).map_err(drop) }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        // Half of them are given up, the first among them.
        waiting.iter().step_by(2).for_each(tokio::task::JoinHandle::abort);
        answers.send(true).unwrap();
        for (n, waiting) in waiting.into_iter().enumerate() {
            match waiting.await {
                Ok(known) => assert_eq!(known, Ok(1)),
                Err(e) => assert!(n % 2 == 0 && e.is_cancelled()),
            }
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_newer_one_is_looked_for_once_in_a_while() {
        let (answers, receiver) = tokio::sync::mpsc::unbounded_channel();
        let intervals = RefreshIntervals { max_age: Duration::from_secs(3600), pause: Duration::from_secs(3600) };
        let (value, reads) = counted(intervals, receiver);
        answers.send(true).unwrap();
        answers.send(true).unwrap();
        assert_eq!(*value.current().await.unwrap().value, 1);
        for _ in 0..20 {
            assert_eq!(*value.newer().await.unwrap().value, 2);
        }
        assert_eq!((reads.load(Ordering::SeqCst), value.current().await.unwrap().version), (2, 2));
    }
}
