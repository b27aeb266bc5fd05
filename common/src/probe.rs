//! `FUNCTION health`: asks the process that listens on `PORT` whether it is ready, for images in which there is no other
//! program that a container's health check could run.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Timeout of the check; `/ready` itself gives up after two seconds.
const CHECK_TIMEOUT: Duration = Duration::from_secs(4);
/// Argument that makes the program a health check.
const HEALTH_ARGUMENT: &str = "health";

/// Returns true if the process was started as a health check, and not to serve.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == HEALTH_ARGUMENT)
}

/// Returns the exit code 0 if the process that listens there is ready, 1 if it isn't.
pub(crate) fn run(listen: SocketAddr) -> ExitCode {
    let address = if listen.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, listen.port()).into() } else { listen };
    if is_ready(address).unwrap_or(false) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, CHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(CHECK_TIMEOUT))?;
    write!(stream, "GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status == *b"HTTP/1.1 200")
}
