//! Proxies: tinyproxy, a third-party program.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::cloud::{Cloud, PATIENCE};
use crate::front::{Front, GOOD, Leaf};
use crate::machine::Machine;

struct Proxy {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Proxy {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.path().join("log");
        let settings = folder.path().join("settings");
        let text =
            format!("Port {port}\nListen 127.0.0.1\nTimeout 30\nLogFile \"{}\"\nLogLevel Connect\n", log.display());
        fs::write(&settings, text + "MaxClients 50\n" + more).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("scripts/install installs tinyproxy");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "tinyproxy does not listen");
            std::thread::yield_now();
        }
        Self { folder, process, port }
    }

    /// Returns true if it was asked to connect to a host.
    fn led_to(&self, host: &str) -> bool {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().any(|line| line.contains("CONNECT") && line.contains(host))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cloud that is not on this machine, as far as the client can see: at the machine's own name.
struct Outside {
    front: Front,
    host: String,
    _cloud: Cloud,
}

impl Outside {
    fn new() -> Self {
        let cloud = Cloud::start();
        let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
        let names: &'static str = format!("DNS:{host}").leak();
        let front = Front::speaking(&cloud, &Leaf { names, ..GOOD }, "TLSv1_3", "0.0.0.0");
        cloud.mood().known_as = Some(front.url(&host));
        Self { front, host, _cloud: cloud }
    }

    fn machine(&self) -> Machine {
        Machine::new(&self.front.url(&self.host)).with("SSL_CERT_FILE", self.front.authority())
    }
}

fn activate(machine: &Machine) -> crate::machine::Printed {
    machine.coditect(&["activate", &machine.key.to_string()])
}

#[test]
fn a_proxy_that_is_named_is_used() {
    let outside = Outside::new();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = Proxy::start("");
        let machine = outside.machine().with(variable, format!("http://127.0.0.1:{}", proxy.port));
        let activated = activate(&machine);
        assert_eq!(activated.code, 0, "{variable}: {activated:?}");
        assert!(proxy.led_to(&outside.host), "{variable}");
        let doctor = machine.coditect(&["doctor"]);
        assert!(doctor.stdout.contains(&format!("127.0.0.1:{} ({variable})", proxy.port)), "{doctor:?}");
    }
}

#[test]
fn hosts_that_need_no_proxy_are_asked_straight() {
    let outside = Outside::new();
    let proxy = Proxy::start("");
    for (host, straight) in [(outside.host.as_str(), true), ("*", true), ("other.example, ", false)] {
        let machine = outside.machine().with("HTTPS_PROXY", format!("127.0.0.1:{}", proxy.port)).with("NO_PROXY", host);
        let used = proxy.led_to(&outside.host);
        assert!(!used);
        assert_eq!(activate(&machine).code, 0, "{host}");
        assert_eq!(proxy.led_to(&outside.host), !straight, "{host}");
    }
}

#[test]
fn this_machine_is_asked_straight() {
    let cloud = Cloud::start();
    let front = Front::of(&cloud, &GOOD);
    let machine = Machine::new(&front.url("127.0.0.1")).with("SSL_CERT_FILE", front.authority());
    let machine = machine.with("HTTPS_PROXY", "http://127.0.0.1:1");
    assert_eq!(activate(&machine).code, 0);
}

#[test]
fn a_proxys_password_is_used_and_not_shown() {
    let outside = Outside::new();
    let proxy = Proxy::start("BasicAuth ann s3cret\n");
    let machine = outside.machine().with("HTTPS_PROXY", format!("http://ann:s3cret@127.0.0.1:{}", proxy.port));
    assert_eq!(activate(&machine).code, 0);
    let doctor = machine.coditect(&["doctor", "--verbose"]);
    assert!(!format!("{doctor:?}").contains("s3cret"), "{doctor:?}");
    let stranger = outside.machine().with("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    let refused = activate(&stranger);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("(the proxy server responded 407"), "{refused:?}");
    assert!(refused.stderr.contains("NO_PROXY the hosts that need none"), "{refused:?}");
}

#[test]
fn a_proxy_that_is_away_or_none_is_told() {
    let outside = Outside::new();
    let away = activate(&outside.machine().with("ALL_PROXY", "http://127.0.0.1:1"));
    assert_eq!(away.code, 2);
    assert!(away.stderr.contains("(connection refused, through the proxy 127.0.0.1:1 (ALL_PROXY))"), "{away:?}");
    let none = activate(&outside.machine().with("HTTPS_PROXY", "gopher://ann:s3cret@127.0.0.1"));
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("HTTPS_PROXY is not the address of a proxy"), "{none:?}");
    assert!(!none.stderr.contains("s3cret"), "{none:?}");
}

#[test]
fn a_socks_proxy_is_a_proxy_too() {
    // No server listens there; the test only checks that the setting is understood.
    let outside = Outside::new();
    let away = activate(&outside.machine().with("ALL_PROXY", "socks5h://127.0.0.1:1"));
    assert!(away.stderr.contains("through the proxy 127.0.0.1:1 (ALL_PROXY)"), "{away:?}");
}
