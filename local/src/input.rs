//! Reads pipes without waiting for an end that another program has to give: each read has a deadline.

use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The longest pause of a writer in the middle of a text.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// After this pause, what is whole is taken although the pipe is still open.
const PAUSE: Duration = Duration::from_secs(1);

const CHUNK: usize = 16 * 1024;

/// A pipe or file that is read until a deadline.
///
/// ```
/// use std::io::Read;
/// use std::time::Duration;
///
/// let (reader, _writer) = std::io::pipe()?;
/// let mut input = local::input::Input::new(reader, Duration::from_millis(10));
/// let error = input.read(&mut [0; 8]).expect_err("nothing is written");
/// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Input<F> {
    file: F,
    until: Instant,
}

impl<F: AsFd> Input<F> {
    /// Reads this file for so long.
    pub fn new(file: F, timeout: Duration) -> Self {
        Self { file, until: Instant::now() + timeout }
    }
}

impl<F: AsFd> Read for Input<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::Error::new(ErrorKind::TimedOut, "its end did not come in time")),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match rustix::io::read(&self.file, &mut *buffer) {
                // Another process reads from the same pipe, which has been set not to wait.
                Err(Errno::INTR | Errno::AGAIN) => {}
                read => return Ok(read?),
            }
        }
    }
}

/// Reads a file or pipe to its end, or until it pauses after what is whole. A terminal is read to its end.
///
/// ```
/// use std::{fs::File, io::Write, os::fd::OwnedFd};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let reader = File::from(OwnedFd::from(reader));
/// writer.write_all(b"all of it\n")?;
/// // The writer stays open.
/// let text = local::input::read_whole(reader, 1024, |text| text.ends_with(b"\n"))?;
/// assert_eq!(text, b"all of it\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When it can't be read, has more bytes than these, or pauses for longer than a minute.
pub fn read_whole(file: impl AsFd + IsTerminal, max_len: usize, whole: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let read_timeout = if file.is_terminal() { Duration::from_secs(24 * 60 * 60) } else { READ_TIMEOUT };
    let mut text = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let timeout = if text.is_empty() || file.is_terminal() { read_timeout } else { PAUSE };
        let read = match Input::new(&file, timeout).read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::TimedOut && timeout == PAUSE => {
                if whole(&text) {
                    return Ok(text);
                }
                Input::new(&file, read_timeout).read(&mut chunk)
            }
            read => read,
        };
        match read? {
            0 => return Ok(text),
            len if text.len() + len > max_len => {
                let limit = format!("it has more than {max_len} bytes");
                return Err(io::Error::new(ErrorKind::FileTooLarge, limit));
            }
            len => text.extend_from_slice(&chunk[..len]),
        }
    }
}
