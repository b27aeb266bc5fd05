//! A tenant that turns encryption on while a machine doesn't have the key, off, and on again with another key.

use std::os::unix::fs::PermissionsExt;

use coditect::{Error, JournalEvent, Kind};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::keys::{EXPORT, PASSPHRASE};
use crate::keys_sync::{SECRET, is_locked, secret, with_key, without_key};
use crate::machine::Told;
use crate::queue::id;
use crate::sync::{put, says, sync};

/// Returns the number of times that a content with this text was sent.
fn sent(cloud: &Cloud, secret: &str) -> usize {
    let records = |body: &Value| body["records"].as_array().unwrap().clone();
    let pushes = cloud.asked("/context/push");
    pushes.iter().flat_map(|push| records(&push.body)).filter(|record| record.to_string().contains(secret)).count()
}

/// Turns encryption off, as `ops context encryption off` does.
fn turn_off(cloud: &Cloud) {
    cloud.stream().key_id = None;
}

#[test]
fn a_machine_that_knows_sends_nothing_that_can_be_read() {
    let cloud = Cloud::start();
    let ((_ada, ada), (_bob, bob), (_eve, eve)) = (with_key(&cloud), without_key(&cloud), without_key(&cloud));
    put(&bob, Kind::Task, "gone", json!({"status": "pending"}));
    sync(&bob);
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    cloud.forget();

    // A refusal is how this machine learns it, so its content was sent once.
    put(&eve, Kind::Decision, "e", json!({"title": "Eve's"}));
    assert_eq!(eve.push(|_| ()).unwrap().hindered, 1);
    assert_eq!(sent(&cloud, "Eve's"), 1);
    put(&eve, Kind::Decision, "e2", json!({"title": "Eve's"}));
    assert_eq!(eve.push(|_| ()).unwrap().hindered, 2);
    // This machine learns it from an encrypted record that it pulled, so its content is not even sent once. A deletion is.
    bob.pull(|_| ()).unwrap();
    put(&bob, Kind::Decision, "b", json!({"title": "Bob's"}));
    bob.store().delete(Kind::Task, &id("gone")).unwrap();
    for _ in 0..3 {
        let pushed = sync(&bob).pushed;
        assert_eq!(pushed.hindered, 1);
        assert!(pushed.hindrance.unwrap().detail.contains("coditect sync keys import FILE"));
    }
    assert_eq!((sent(&cloud, "Eve's"), sent(&cloud, "Bob's")), (1, 0));
    assert!(cloud.stream().current(Kind::Task, "gone").deleted);
    let refused = |entry: &coditect::JournalEntry| entry.event == JournalEvent::Refused;
    assert_eq!(bob.store().journal(50).unwrap().into_iter().filter(refused).count(), 1, "the log isn't filled with it");

    // Without an answer from the cloud, a machine may not send in clear.
    turn_off(&cloud);
    cloud.mood().silent_on = Some("/context/status");
    assert_eq!(sync(&bob).pushed.hindered, 1);
    cloud.mood().silent_on = None;
    assert_eq!(sync(&bob).pushed.created, 1);
    assert_eq!(sent(&cloud, "Bob's"), 1);
}

#[test]
fn deletions_go_however_much_waits_for_the_key() {
    let cloud = Cloud::start();
    let ((_ada, ada), (_bob, bob)) = (with_key(&cloud), without_key(&cloud));
    put(&bob, Kind::Task, "gone", json!({"status": "pending"}));
    sync(&bob);
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    sync(&bob);
    let drafts: Vec<_> =
        (0..600).map(|n| crate::queue::draft(Kind::Task, &format!("b{n}"), json!({"title": "Bob's"}))).collect();
    bob.store().put_all(&drafts).unwrap();
    bob.store().delete(Kind::Task, &id("gone")).unwrap();
    let pushed = sync(&bob).pushed;
    assert_eq!((pushed.hindered, pushed.updated), (600, 1));
}

#[test]
fn after_a_lost_key_what_can_still_be_read_is_encrypted_with_a_new_one() {
    let cloud = Cloud::start();
    let ((machine, ada), (_eve, eve)) = (with_key(&cloud), with_key(&cloud));
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    put(&eve, Kind::Decision, "e", secret());
    sync(&eve);
    sync(&ada);
    // The key is damaged, and everything is pulled again: contents that could be read stay readable.
    std::fs::write(machine.home().join("tenant-key"), "x").unwrap();
    let client = machine.client().build().unwrap();
    let latched = client.init_tenant_key();
    assert!(matches!(latched, Err(Error::Keys(coditect::KeysError::Latched { .. }))), "{latched:?}");
    assert_eq!(machine.coditect(&["sync", "keys", "remove", "--yes"]).code, 0);
    let old = cloud.stream().clone();
    cloud.stream().restore(old);
    sync(&ada);
    assert!(!is_locked(&ada, Kind::Decision, "a") && !is_locked(&ada, Kind::Decision, "e"));

    turn_off(&cloud);
    std::fs::write(machine.home().join("tenant-key"), "x").unwrap();
    std::fs::set_permissions(machine.home().join("tenant-key"), PermissionsExt::from_mode(0o600)).unwrap();
    let taken = client.init_tenant_key().unwrap();
    assert_eq!((taken.new, taken.queued), (true, 2));
    assert_eq!(sync(&ada).pushed.updated, 2);
    let export = client.export_tenant_key(PASSPHRASE).unwrap();
    let (bob_machine, bob) = without_key(&cloud);
    bob_machine.client().build().unwrap().import_tenant_key(&export, PASSPHRASE).unwrap();
    assert_eq!(sync(&bob).pulled.locked, 0);
    assert_eq!((says(&bob, Kind::Decision, "a"), says(&bob, Kind::Decision, "e")), (secret(), secret()));
    assert_eq!(sent(&cloud, SECRET), 0, "and never in clear");
}

#[test]
fn what_comes_in_clear_behind_an_envelope_is_told_and_not_made_the_tenants_own() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, _)) = (with_key(&cloud), without_key(&cloud));
    cloud.stream().fill(Kind::Decision, ["before".to_owned()].into_iter());
    put(&ada, Kind::Decision, "a", secret());
    assert_eq!(sync(&ada).pulled.bare, 1, "the tenant is switching over");
    let told = Told::default();
    let bob = bob_machine.client().on_notice(told.listener()).build().unwrap().context();
    sync(&bob);

    turn_off(&cloud);
    cloud.stream().fill(Kind::Decision, ["forged".to_owned()].into_iter());
    cloud.stream().key_id = Some("7a399020da8f2b36".to_owned());
    let pulled = sync(&ada).pulled;
    assert_eq!((pulled.exposed, pulled.bare), (1, 0));
    assert_eq!(sync(&bob).pulled.exposed, 1);
    assert!(told.take().iter().any(|sentence| sentence.contains("came in clear although")));
    assert_eq!(cloud.stream().current(Kind::Decision, "forged").content, json!({"title": "forged"}));
    assert_eq!(says(&ada, Kind::Decision, "forged"), json!({"title": "forged"}));
    let noted = ada.store().journal(10).unwrap();
    assert!(noted.iter().any(|entry| entry.event == JournalEvent::Exposed && entry.id == Some(id("forged"))));

    // Where encryption was turned off, a machine without the key has nothing to report.
    turn_off(&cloud);
    cloud.stream().fill(Kind::Decision, ["late".to_owned()].into_iter());
    assert_eq!(sync(&bob).pulled.exposed, 0);
}

#[test]
fn a_machine_forgets_the_key_and_is_asked_before() {
    let cloud = Cloud::start();
    let (machine, ada) = with_key(&cloud);
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    let printed = machine.coditect(&["sync", "keys", "remove"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("travels in clear") && printed.stderr.contains("--yes"), "{printed:?}");
    let printed = machine.coditect(&["sync", "keys", "remove", "--yes"]);
    assert_eq!((printed.code, &*printed.stdout), (0, "The key 7a399020da8f2b36 is not on this machine any more.\n"));
    let printed = machine.coditect(&["sync", "keys", "remove", "--yes"]);
    assert!(printed.code == 1 && printed.stderr.contains("There is no tenant key"), "{printed:?}");
    put(&ada, Kind::Decision, "b", secret());
    assert_eq!(sync(&ada).pushed.hindered, 1);
    turn_off(&cloud);
    assert_eq!(sync(&ada).pushed.created, 1);
    assert_eq!(cloud.stream().current(Kind::Decision, "b").content, secret());
    assert_eq!(machine.client().build().unwrap().import_tenant_key(EXPORT, PASSPHRASE).unwrap().queued, 1);
}
