//! The user's terminal: questions for a passphrase, which is not shown, or for a yes; and colors.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Longest line that is read, in bytes: no passphrase is longer.
const MAX_LINE_LEN: usize = 1024;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ERASE: [u8; 2] = [0x08, 0x7f];
const ERASE_ALL: u8 = 0x15;

/// Returns true if a stream is a terminal that shows colors, and the user has not turned them off (`NO_COLOR`).
pub(crate) fn shows_colors(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let unable = std::env::var_os("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb");
    !unwanted && !unable && stream.is_terminal()
}

/// Returns true in a CI job (`CI`), whose terminals no person looks at.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The terminal that this program was started from, wherever its input and output go.
pub(crate) struct Terminal(File);

impl Terminal {
    /// Opens the terminal; none where there is none.
    pub(crate) fn open() -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        file.is_terminal().then_some(Self(file))
    }

    /// Asks for a line, and shows the input. Returns none if the user gave up.
    pub(crate) fn prompt(&mut self, question: &str) -> io::Result<Option<String>> {
        write!(self.0, "{question}")?;
        let mut line = Vec::new();
        loop {
            match self.read_byte()? {
                None if line.is_empty() => return Ok(None),
                None | Some(b'\n') => return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned())),
                Some(byte) if line.len() < MAX_LINE_LEN => line.push(byte),
                Some(_) => {}
            }
        }
    }

    /// Asks for a line without showing it, and for further ones while `is_continued` returns true for the input so far. Returns none
    /// if the user gave up; an empty line ends it.
    pub(crate) fn prompt_hidden(
        &mut self,
        question: &str,
        is_continued: impl Fn(&str) -> bool,
    ) -> io::Result<Option<String>> {
        // First, because input that was typed by then is thrown away: a user who sees the question may answer at once.
        let echo_off = EchoOff::new(&self.0)?;
        write!(self.0, "{question}")?;
        let mut answer = self.read_hidden_line();
        while let Ok(Some(lines)) = &mut answer
            && is_continued(lines)
        {
            match self.read_hidden_line() {
                Ok(Some(line)) if line.is_empty() => break,
                Ok(Some(line)) => *lines = format!("{lines}\n{line}"),
                other => answer = other,
            }
        }
        drop(echo_off);
        writeln!(self.0)?;
        answer
    }

    /// Reads a line byte by byte, since the terminal edits nothing while it shows nothing; Ctrl-C arrives as one, so that the
    /// terminal is always left as it was.
    fn read_hidden_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            match self.read_byte()? {
                None | Some(INTERRUPT) => return Ok(None),
                Some(END) if line.is_empty() => return Ok(None),
                Some(b'\n' | b'\r' | END) => return Ok(String::from_utf8(line).ok()),
                Some(ERASE_ALL) => line.clear(),
                Some(byte) if ERASE.contains(&byte) => {
                    // A whole character: its last byte, and those before it that only go on.
                    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                }
                Some(byte) if line.len() < MAX_LINE_LEN => line.push(byte),
                Some(_) => {}
            }
        }
    }

    fn read_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.0.read(&mut byte)? == 1).then_some(byte[0]))
    }
}

/// Turns the terminal's echo off, until this is dropped.
struct EchoOff {
    file: File,
    before: Termios,
}

impl EchoOff {
    fn new(terminal: &File) -> io::Result<Self> {
        let file = terminal.try_clone()?;
        let before = tcgetattr(&file)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&file, OptionalActions::Flush, &silent)?;
        Ok(Self { file, before })
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // Input that was typed too early stays with the terminal. An error is ignored: there is no place to report it.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
    }
}
