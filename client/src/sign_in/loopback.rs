//! Where the browser brings the provider's answer: a port of this machine, for one sign-in (RFC 8252, section 7.3).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// The path that the provider sends the browser back to.
const PATH: &str = "/callback";

/// Browsers open connections that they use later, or never.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// More is no request line of a browser that was redirected here.
const MAX_REQUEST_LEN: u64 = 32 * 1024;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Loopback {
    address: SocketAddr,
    answers: Receiver<Answer>,
    closed: Arc<AtomicBool>,
}

/// What the browser brought, and the browser, which waits for a page.
#[derive(Debug)]
pub(super) struct Answer {
    query: Vec<(String, String)>,
    browser: TcpStream,
}

impl Loopback {
    pub(super) fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let (tell, answers) = channel();
        let over = closed.clone();
        thread::spawn(move || {
            for browser in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(browser), tell) = (browser, tell.clone()) else { continue };
                thread::spawn(move || serve(browser, &tell));
            }
        });
        Ok(Self { address, answers, closed })
    }

    pub(super) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// The first answer; none if it does not come in this time.
    pub(super) fn wait(&self, patience: Duration) -> Option<Answer> {
        self.answers.recv_timeout(patience).ok()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Answer {
    /// A parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Shows the person how it went.
    pub(super) fn show(self, heading: &str, sentence: &str) {
        page(self.browser, "200 OK", heading, sentence);
    }
}

/// Reads a request, and passes on what is an answer.
fn serve(browser: TcpStream, tell: &Sender<Answer>) -> Option<()> {
    browser.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    let mut reader = BufReader::new(browser.try_clone().ok()?.take(MAX_REQUEST_LEN));
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    loop {
        let mut header = String::new();
        // A connection that is closed before all was read resets the page away.
        if reader.read_line(&mut header).ok()? == 0 || header.trim().is_empty() {
            break;
        }
    }
    let target = request.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    match target.split_once('?') {
        Some((PATH, query)) => {
            let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            tell.send(Answer { query, browser }).ok()
        }
        _ => {
            page(browser, "404 Not Found", "Nothing is here", "This address serves one sign-in of coditect.");
            None
        }
    }
}

fn page(mut browser: TcpStream, status: &str, heading: &str, sentence: &str) {
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>CODITECT</title>\
         <body style='font:1.1em sans-serif;margin:15vh auto;max-width:30em'><h1>{}</h1><p>{}</p></html>\n",
        escaped(heading),
        escaped(sentence)
    );
    // The address has the code in it, which is used up, and is told to nobody all the same.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\n\
         content-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n",
        body.len()
    );
    let _ = browser.write_all(head.as_bytes()).and_then(|()| browser.write_all(body.as_bytes()));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
