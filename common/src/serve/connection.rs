//! Accepting connections: HTTP/1 only, each with time limits, and no more than a process can hold.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt as _;
use tower_http::normalize_path::NormalizePath;

/// The most connections of a process; fewer where it may open fewer files.
const CONNECTION_LIMIT: usize = 4096;
/// Which part of the files that a process may open its connections take: the rest is for what it asks itself.
const FILES_PER_CONNECTION: u64 = 2;
/// Time limit for the first request's head on a new connection.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a connection's next request, and for that request's head.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Time limit for a caller to read an answer, from when it does not keep up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Limit of what is read of a head before it is refused, and of an answer before the caller has to read on.
const BUFFER_BYTES: usize = 64 * 1024;
/// Pause before connections are accepted again after the system refused one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves, then lets the requests end that are being answered.
pub(crate) async fn serve(listener: TcpListener, service: NormalizePath<Router>, stop: impl Future<Output = ()>) {
    let limit = limit();
    let open = Arc::new(Semaphore::new(limit));
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&open).acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener).await, place)
        };
        let ((stream, peer), place) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (service, stopped) = (service.clone(), stopped.clone());
        tokio::spawn(async move {
            answer(stream, peer, service, stopped).await;
            drop(place);
        });
    }
    drop((listener, stopping));
    let all = u32::try_from(limit).unwrap_or(u32::MAX);
    drop(open.acquire_many(all).await);
}

fn limit() -> usize {
    let files = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |files| usize::try_from(files / FILES_PER_CONNECTION).unwrap_or(usize::MAX));
    files.clamp(1, CONNECTION_LIMIT)
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The caller's doing, and over.
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(e) => {
                tracing::warn!("no connection can be accepted: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, peer: SocketAddr, service: NormalizePath<Router>, mut stopped: watch::Receiver<()>) {
    // Without it an answer may wait 40 ms for an acknowledgement; a failure only costs that.
    let _ = stream.set_nodelay(true);
    let last_use = Arc::new(LastUse::new());
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        last_use.mark();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        service.clone().oneshot(request)
    });
    let timed = Timed { stream, write: None, last_use: Arc::clone(&last_use) };
    let connection = http1::Builder::new().max_buf_size(BUFFER_BYTES).serve_connection(TokioIo::new(timed), service);
    let mut connection = pin!(connection);
    let mut unused = pin!(tokio::time::sleep_until(last_use.deadline()));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // Once a connection is broken, there is no caller left for an answer.
            _ = connection.as_mut() => return,
            () = unused.as_mut() => {
                let deadline = last_use.deadline();
                if deadline <= Instant::now() {
                    return;
                }
                unused.as_mut().reset(deadline);
            }
            _ = stopped.changed(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The time at which a connection last got a request or sent a part of an answer. One timer of the connection looks at it,
/// which costs less than a timer of each request.
struct LastUse {
    begin: Instant,
    /// Milliseconds since the beginning; 0 before the first request.
    after_ms: AtomicU64,
}

impl LastUse {
    fn new() -> Self {
        Self { begin: Instant::now(), after_ms: AtomicU64::new(0) }
    }

    fn mark(&self) {
        let after_ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.after_ms.store(after_ms.max(1), Ordering::Relaxed);
    }

    /// The time at which the connection ends unless it is used before.
    fn deadline(&self) -> Instant {
        match self.after_ms.load(Ordering::Relaxed) {
            0 => self.begin + FIRST_HEAD_TIMEOUT,
            after_ms => self.begin + Duration::from_millis(after_ms) + IDLE_TIMEOUT,
        }
    }
}

/// A connection whose caller must keep up with its answers.
struct Timed {
    stream: TcpStream,
    last_use: Arc<LastUse>,
    /// Runs from when something could not be written until everything is.
    write: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// Returns the result of an attempt to write, or an error once it has been tried for too long.
    fn in_time<T>(&mut self, tried: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if tried.is_pending() {
            let timer = self.write.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
            ready!(timer.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.last_use.mark();
        tried
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(tried, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.in_time(tried, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A connection that is not read, and whose time to write is over once it can't take more.
    async fn unread() -> (Timed, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let write = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
        (Timed { stream, write, last_use: Arc::new(LastUse::new()) }, reader)
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_ends_its_connection() {
        let (mut timed, _reader) = unread().await;
        let ended = timed.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_connection_ends_when_it_was_not_used_for_a_while() {
        let begin = Instant::now() - Duration::from_secs(10);
        let last_use = LastUse { begin, after_ms: AtomicU64::new(0) };
        assert_eq!(last_use.deadline(), begin + FIRST_HEAD_TIMEOUT);
        last_use.mark();
        let from_now = last_use.deadline() - Instant::now();
        assert!(from_now <= IDLE_TIMEOUT && from_now > IDLE_TIMEOUT - Duration::from_secs(1), "{from_now:?}");
    }

    #[tokio::test]
    async fn an_answer_that_was_written_leaves_the_next_one_its_time() {
        let (mut timed, _reader) = unread().await;
        timed.write_all(b"short").await.unwrap();
        timed.flush().await.unwrap();
        assert!(timed.write.is_none());
    }
}
