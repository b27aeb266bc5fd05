//! The events of the tests are Stripe's: they are compared with what its own libraries declare.

use std::io::Write as _;
use std::process::{Command, Stdio};

use testing::stripe::{Event, Events, Subscription, Version};

const NOW: i64 = 1_760_000_000;

/// An event of each kind that means something here, in as many forms as the tests use.
pub(crate) fn every_kind(version: Version) -> Vec<Event> {
    let events = Events::new(version);
    let mut acme = Subscription::new("acme", &[("price_team", 1), ("price_team_seat", 3)], NOW);
    let mut all = vec![
        events.checkout("checkout.session.completed", &acme, true, NOW),
        events.checkout("checkout.session.completed", &acme, false, NOW),
        events.checkout("checkout.session.async_payment_succeeded", &acme, true, NOW),
        events.subscription("created", &acme, NOW),
        events.subscription("updated", &acme, NOW),
        events.subscription("resumed", &acme, NOW),
        events.invoice("paid", &acme, NOW),
        events.invoice("payment_failed", &acme, NOW),
        events.invoice("payment_action_required", &acme, NOW),
        events.invoice("finalized", &acme, NOW),
        events.invoice("voided", &acme, NOW).with("/data/object/status", "void"),
        events.invoice("marked_uncollectible", &acme, NOW).with("/data/object/status", "uncollectible"),
        events.subscription("pending_update_applied", &acme, NOW),
        events.subscription("pending_update_expired", &acme, NOW),
        events.refund(&acme, true, NOW),
        events.refund(&acme, false, NOW),
        events.customer("updated", &acme, NOW),
        events.customer("deleted", &acme, NOW),
    ];
    if version == Version::Current {
        all.push(events.invoice_payment(&acme, NOW));
    }
    let stands = ["needs_response", "warning_needs_response", "warning_closed", "won", "lost"];
    all.extend(stands.map(|status| events.dispute(&acme, status, NOW)));
    let kinds = ["updated", "funds_withdrawn", "funds_reinstated"].map(|kind| format!("charge.dispute.{kind}"));
    all.extend(kinds.map(|kind| events.dispute(&acme, "needs_response", NOW).with("/type", kind)));
    acme.pause = Some("void".to_owned());
    all.push(events.subscription("updated", &acme, NOW));
    acme.status = "paused".to_owned();
    all.push(events.subscription("paused", &acme, NOW));
    acme.trial = Some((NOW, NOW + 1_209_600));
    acme.status = "trialing".to_owned();
    all.push(events.subscription("trial_will_end", &acme, NOW));
    acme.cancel_at_period_end = true;
    acme.cancel_at = Some(acme.period.1);
    all.push(events.subscription("updated", &acme, NOW));
    acme.end(NOW);
    all.push(events.subscription("deleted", &acme, NOW));
    all.push(events.live().subscription("deleted", &acme, NOW));
    all
}

/// Checks events with Stripe's own libraries; returns their verdict and messages.
fn check(events: &[Event]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/stripe-shapes");
    let mut node = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = node.stdin.take().unwrap();
    for event in events {
        writeln!(stdin, "{}", event.0).unwrap();
    }
    drop(stdin);
    let answer = node.wait_with_output().unwrap();
    (answer.status.success(), String::from_utf8(answer.stdout).unwrap())
}

#[test]
fn every_event_of_the_tests_is_as_stripes_libraries_declare_it() {
    let events: Vec<_> = [Version::Old, Version::Current].into_iter().flat_map(every_kind).collect();
    let (right, said) = check(&events);
    assert!(right, "{said}");
}

#[test]
fn a_field_too_few_or_too_many_would_be_noticed() {
    let wrong = [Version::Old, Version::Current].into_iter().flat_map(|version| {
        let acme = Subscription::new("acme", &[("price_team", 1)], NOW);
        let (mut few, mut many) =
            (Events::new(version).invoice("paid", &acme, NOW), Events::new(version).invoice("paid", &acme, NOW));
        few.0["data"]["object"]["lines"]["data"][0].as_object_mut().unwrap().remove("period");
        many.0["data"]["object"]["lines"]["data"][0]["surplus"] = true.into();
        [few, many]
    });
    let (right, said) = check(&wrong.collect::<Vec<_>>());
    assert!(!right);
    for (version, what) in
        [("2024-06-20", "period"), ("2026-10-28", "period"), ("2024-06-20", "surplus"), ("2026-10-28", "surplus")]
    {
        assert!(said.lines().any(|line| line.contains(version) && line.contains(what)), "{said}");
    }
}
