//! Receives the provider's answer from the browser, on a loopback port, for one sign-in (RFC 8252, section 7.3).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// The path that the provider sends the browser back to.
const PATH: &str = "/callback";

/// Time to wait for a request: browsers open connections that they use later, or never.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest request, in bytes: a browser that was redirected here sends no larger one.
const MAX_REQUEST_LEN: u64 = 32 * 1024;

/// Listens until it is dropped, for the answer to one sign-in. Any other request to the port is refused and changes
/// nothing: any page in any browser of this machine, and any program on it, can send requests there.
pub(super) struct Loopback {
    address: SocketAddr,
    answers: Receiver<Answer>,
    closed: Arc<AtomicBool>,
}

/// The requirements for a request to be the expected answer.
struct Expected {
    /// The `Host` header of a browser that was sent to the redirect URI. A page whose name was pointed at 127.0.0.1 (DNS
    /// rebinding) has another one.
    host: String,
    state: String,
}

/// The parameters that the browser brought, and its connection, which waits for a page.
#[derive(Debug)]
pub(super) struct Answer {
    query: Vec<(String, String)>,
    browser: TcpStream,
}

impl std::fmt::Debug for Loopback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loopback").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Loopback {
    /// Opens a port for the answer with this `state`.
    pub(super) fn open(state: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let expected = Arc::new(Expected { host: address.to_string(), state: state.to_owned() });
        let closed = Arc::new(AtomicBool::new(false));
        let (tell, answers) = channel();
        let over = closed.clone();
        thread::spawn(move || {
            for browser in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(browser), tell, expected) = (browser, tell.clone(), expected.clone()) else { continue };
                thread::spawn(move || serve(browser, &expected, &tell));
            }
        });
        Ok(Self { address, answers, closed })
    }

    pub(super) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the first answer; returns `None` if it does not come in this time.
    pub(super) fn wait(&self, longest: Duration) -> Option<Answer> {
        self.answers.recv_timeout(longest).ok()
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
    /// Returns the value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Shows the user the result.
    pub(super) fn show(self, heading: &str, sentence: &str) {
        page(self.browser, "200 OK", heading, sentence);
    }
}

/// Reads a request, and passes it on if it is the answer that is waited for.
fn serve(browser: TcpStream, expected: &Expected, tell: &Sender<Answer>) -> Option<()> {
    browser.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    let mut reader = BufReader::new(browser.try_clone().ok()?.take(MAX_REQUEST_LEN));
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        // All headers are read, since closing the connection before that would reset it and lose the page.
        if reader.read_line(&mut header).ok()? == 0 {
            break;
        }
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    match expected.query_of(&request, &headers) {
        Ok(query) => tell.send(Answer { query, browser }).ok(),
        Err((status, sentence)) => {
            page(browser, status, "Nothing is here", sentence);
            None
        }
    }
}

impl Expected {
    /// Returns the parameters of the answer, or the status and the sentence with which another request is refused.
    fn query_of(
        &self,
        request: &str,
        headers: &[(String, String)],
    ) -> Result<Vec<(String, String)>, (&'static str, &'static str)> {
        const ELSEWHERE: &str = "This address serves one sign-in of coditect.";
        let header =
            |name: &'static str| headers.iter().filter(move |header| header.0 == name).map(|header| &*header.1);
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !header("host").eq([self.host.as_str()]) {
            return Err(("421 Misdirected Request", ELSEWHERE));
        }
        if path != PATH {
            return Err(("404 Not Found", ELSEWHERE));
        }
        if method != "GET" {
            return Err(("405 Method Not Allowed", ELSEWHERE));
        }
        // A fetch, frame or image of a page is no browser that was redirected here. Browsers state the kind of request,
        // and other programs leave it out.
        let navigates = header("sec-fetch-mode").all(|mode| mode == "navigate");
        if !navigates || !header("sec-fetch-dest").all(|destination| destination == "document") {
            return Err(("403 Forbidden", ELSEWHERE));
        }
        let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let states = query.iter().filter(|(name, _)| name == "state").map(|(_, value)| value.as_str());
        if !states.eq([self.state.as_str()]) {
            return Err(("400 Bad Request", "This is not the answer to the sign-in that waits here, which goes on."));
        }
        Ok(query)
    }
}

fn page(mut browser: TcpStream, status: &str, heading: &str, sentence: &str) {
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>CODITECT</title>\
         <body style='font:1.1em sans-serif;margin:15vh auto;max-width:30em'><h1>{}</h1><p>{}</p></html>\n",
        escaped(heading),
        escaped(sentence)
    );
    // The address contains the authorization code, which is used up, but is kept from caches and referrers all the same.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_that_is_waited_for_counts() {
        let expected = Expected { host: "127.0.0.1:4000".to_owned(), state: "s1".to_owned() };
        let status = |request: &str, headers: &[(&str, &str)]| {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            expected.query_of(request, &headers).map(|query| query.len()).map_err(|(status, _)| &status[..3])
        };
        let good = "GET /callback?code=c&state=s1 HTTP/1.1";
        let host = ("host", "127.0.0.1:4000");
        assert_eq!(status(good, &[host]), Ok(2));
        assert_eq!(status(good, &[host, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]), Ok(2));
        for (request, headers, refusal) in [
            (good, &[][..], "421"),
            (good, &[("host", "evil.example:4000")], "421"),
            (good, &[("host", "127.0.0.1")], "421"),
            (good, &[host, host], "421"),
            ("GET / HTTP/1.1", &[host], "404"),
            ("GET /callback/?code=c&state=s1 HTTP/1.1", &[host], "404"),
            ("POST /callback?code=c&state=s1 HTTP/1.1", &[host], "405"),
            (good, &[host, ("sec-fetch-mode", "no-cors")], "403"),
            (good, &[host, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], "403"),
            ("GET /callback?code=c&state=s2 HTTP/1.1", &[host], "400"),
            ("GET /callback?code=c&state=s1&state=s1 HTTP/1.1", &[host], "400"),
            ("GET /callback?error=access_denied HTTP/1.1", &[host], "400"),
            ("GET /callback HTTP/1.1", &[host], "400"),
        ] {
            assert_eq!(status(request, headers), Err(refusal), "{request} {headers:?}");
        }
    }
}
