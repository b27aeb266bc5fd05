//! Certificates: those that are trusted, and the messages for those that are not.

use std::io::Write;
use std::net::TcpListener;

use crate::cloud::Cloud;
use crate::front::{Front, GOOD, Leaf};
use crate::machine::Machine;

/// Returns the message for a certificate, on a machine that trusts the authority.
fn refusal(leaf: &Leaf) -> String {
    let cloud = Cloud::start();
    let front = Front::of(&cloud, leaf);
    said(&front, &[("SSL_CERT_FILE", front.authority().to_str().unwrap())])
}

fn said(front: &Front, variables: &[(&str, &str)]) -> String {
    let machine = Machine::new("https://cloud.example");
    let mut command = machine.command(&["config", "set", "cloud-url", &front.url("127.0.0.1")]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_authority_of_ones_own_is_named_by_the_usual_variables() {
    let cloud = Cloud::start();
    let front = Front::of(&cloud, &GOOD);
    let unknown = said(&front, &[]);
    assert!(
        unknown.contains("its certificate was signed by an authority that this machine does not know"),
        "{unknown}"
    );
    assert!(unknown.contains("SSL_CERT_FILE=/path/to/authority.pem"), "{unknown}");

    let file = Machine::new(&front.url("127.0.0.1")).with("SSL_CERT_FILE", front.authority());
    let folder = Machine::new(&front.url("127.0.0.1")).with("SSL_CERT_DIR", front.authority().parent().unwrap());
    for machine in [file, folder] {
        let activated = machine.coditect(&["activate", &machine.key.to_string()]);
        assert_eq!(activated.code, 0, "{activated:?}");
        assert_eq!(machine.coditect(&["run", "true"]).code, 0);
        let doctor = machine.coditect(&["doctor"]);
        assert_eq!(doctor.code, 0, "{doctor:?}");
        assert!(doctor.stdout.contains("those of SSL_CERT_"), "{doctor:?}");
    }
}

#[test]
fn a_certificate_that_is_no_good_is_told_with_what_helps() {
    let expired = refusal(&Leaf { signed: Some("-60d"), ..GOOD });
    assert!(expired.contains("(its certificate has expired)") && expired.contains("`date`"), "{expired}");
    let early = refusal(&Leaf { signed: Some("+60d"), ..GOOD });
    assert!(early.contains("(its certificate is not valid yet)") && early.contains("`date`"), "{early}");
    let foreign = refusal(&Leaf { names: "DNS:other.example", ..GOOD });
    assert!(foreign.contains("(its certificate belongs to another host)"), "{foreign}");
    let own = refusal(&Leaf { by_itself: true, ..GOOD });
    assert!(own.contains("SSL_CERT_FILE=/path/to/authority.pem"), "{own}");
}

#[test]
fn tls_is_1_2_or_newer() {
    let cloud = Cloud::start();
    for (version, good) in [("TLSv1_1", false), ("TLSv1_2", true), ("TLSv1_3", true)] {
        let front = Front::speaking(&cloud, &GOOD, version, "127.0.0.1");
        let machine = Machine::new("https://cloud.example").with("SSL_CERT_FILE", front.authority());
        let set = machine.coditect(&["config", "set", "cloud-url", &front.url("127.0.0.1")]);
        assert_eq!(set.code == 0, good, "{version}: {set:?}");
        assert!(good || set.stderr.contains("(it speaks no TLS that is safe)"), "{set:?}");
    }
}

#[test]
fn what_answers_without_tls_is_not_talked_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let machine = Machine::new("https://cloud.example");
    let set = machine.coditect(&["config", "set", "cloud-url", &url]);
    assert_eq!(set.code, 2);
    assert!(set.stderr.contains("(the answer is no TLS)"), "{set:?}");
}

#[test]
fn variables_that_name_no_certificate_are_told() {
    let cloud = Cloud::start();
    let front = Front::of(&cloud, &GOOD);
    let nothing = said(&front, &[("SSL_CERT_FILE", "/nowhere.pem")]);
    assert!(nothing.contains("what SSL_CERT_FILE names is of no use") && nothing.contains("/nowhere.pem"), "{nothing}");
    let empty = said(&front, &[("SSL_CERT_FILE", "/dev/null")]);
    assert!(empty.contains("it has no certificate"), "{empty}");
}
