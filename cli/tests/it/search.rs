//! `coditect search`

use coditect::Kind;
use serde_json::json;

use crate::cloud::Cloud;
use crate::keys_sync::{SECRET, secret, with_key, without_key};
use crate::machine::{Machine, expect};
use crate::queue::draft;
use crate::records::object;
use crate::sync::sync;

#[test]
fn what_was_written_down_is_found_by_what_it_says() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["learning", "add", "Flush before fsync", "--id", "fsync", "--project", "engine"]);
    machine.coditect(&[
        "decision",
        "add",
        "One store",
        "--id",
        "store",
        "--why",
        "Two backups are one too many, and FSYNC is slow",
    ]);
    machine.coditect(&["task", "add", "Ärger \"quoted\" 100%_", "--id", "odd"]);
    machine.coditect(&["task", "add", "fsync it", "--id", "gone"]);
    machine.coditect(&["task", "rm", "gone"]);
    expect(
        &machine.coditect(&["search", "fsync"]),
        0,
        "KIND      ID     PROJECT  CHANGED   TEXT\n\
         decision  store  -        just now  …e one too many, and FSYNC is slow\n\
         learning  fsync  engine   just now  Flush before fsync\n",
        "",
    );
    for (texts, ids) in [
        (&["FLUSH", "fsync"][..], &["fsync"][..]),
        (&["before flush"], &[]),
        (&["ärger"], &["odd"]),
        (&["\"Quoted\""], &["odd"]),
        (&["100%_"], &["odd"]),
        (&["%"], &["odd"]),
        (&["title"], &[]),
        (&["-", "flush"], &[]),
        (&["- none"], &[]),
        (&["fsync", "--project", "engine"], &["fsync"]),
        (&["fsync", "--limit", "1", "-q"], &["store"]),
    ] {
        let printed = machine.coditect(&[&["search", "--json"], texts].concat());
        let found: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
        let found: Vec<_> = found["data"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect();
        assert_eq!(json!(found), json!(ids), "{texts:?}");
        assert_eq!(printed.code, i32::from(ids.is_empty()), "{texts:?}");
    }
    expect(
        &machine.coditect(&["search", "nothing", "at all"]),
        1,
        "Nothing on this machine has nothing and at all in it.\n",
        "",
    );
    assert_eq!(machine.coditect(&["search", "none\nsuch"]).stdout.lines().count(), 1);
    assert_eq!(machine.coditect(&["search"]).code, 64);
}

#[test]
fn an_accent_is_found_however_it_is_written() {
    let machine = Machine::new("https://cloud.example");
    let content = |text: &str| json!({ "description": text }).to_string();
    let decomposed = content("Open the Cafe\u{301} at eight");
    machine.coditect(&["task", "add", "--id", "a", "--content", &decomposed]);
    let long = content("As much as nobody reads before the cafe\u{301}");
    machine.coditect(&["task", "add", "--id", "b", "--content", &long]);
    for text in ["caf\u{e9}", "cafe\u{301}", "CAFE\u{301}"] {
        let found = object(&machine, &["search", text, "--json"]);
        assert_eq!(found["data"].as_array().unwrap().len(), 2, "{text:?}");
        let printed = machine.coditect(&["search", text]);
        assert!(printed.stdout.contains("Open the Caf\u{e9} at eight"), "{printed:?}");
        assert!(printed.stdout.contains("\u{2026}dy reads before the caf\u{e9}"), "{printed:?}");
    }
}

#[test]
fn what_is_encrypted_in_the_cloud_is_found_where_it_can_be_read() {
    let cloud = Cloud::start();
    let ((ada_machine, ada), (bob_machine, bob), (eve_machine, eve)) =
        (with_key(&cloud), without_key(&cloud), with_key(&cloud));
    ada.store().put(&draft(Kind::Decision, "a", secret())).unwrap();
    sync(&ada);
    sync(&bob);
    sync(&eve);
    for machine in [&ada_machine, &eve_machine] {
        assert_eq!(object(machine, &["search", SECRET, "--json"])["data"][0]["id"], "a");
    }
    assert_eq!(bob_machine.coditect(&["search", SECRET]).code, 1);
}
