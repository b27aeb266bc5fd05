//! Accepting connections: HTTP/1 only, each with time limits, and no more than a process can hold.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;
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
    let has_asked = AtomicBool::new(false);
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        service.clone().oneshot(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(Timed { stream, write: None }), service)
    );
    let mut is_new = true;
    let mut first = pin!(tokio::time::sleep(FIRST_HEAD_TIMEOUT));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // Once a connection is broken, there is no caller left for an answer.
            _ = connection.as_mut() => return,
            () = first.as_mut(), if is_new => {
                is_new = false;
                if !has_asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            _ = stopped.changed(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection whose caller must keep up with its answers.
struct Timed {
    stream: TcpStream,
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
        (Timed { stream, write: Some(Box::pin(tokio::time::sleep(Duration::ZERO))) }, reader)
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_ends_its_connection() {
        let (mut timed, _reader) = unread().await;
        let ended = timed.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_that_was_written_leaves_the_next_one_its_time() {
        let (mut timed, _reader) = unread().await;
        timed.write_all(b"short").await.unwrap();
        timed.flush().await.unwrap();
        assert!(timed.write.is_none());
    }
}
