//! Request ids and traces, by which the cloud finds a request: error messages and the log name the same ones.

use std::collections::BTreeSet;

use protocol::problem::{Code, ProblemDocument};
use protocol::trace::TraceContext;

use crate::cloud::{Asked, Cloud};
use crate::machine::Machine;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn place(asked: &Asked) -> TraceContext {
    TraceContext::parse(asked.header("traceparent").unwrap()).unwrap()
}

#[test]
fn every_request_has_an_id_and_a_trace_of_its_own_that_nobody_records() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let said = machine.coditect(&["activate", &key, "--verbose"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(machine.coditect(&["run", "--", "true"]).code, 0);
    let asked = cloud.asked("/");
    let ids: BTreeSet<&str> = asked.iter().map(|asked| asked.header("x-request-id").unwrap()).collect();
    let traces: BTreeSet<u128> = asked.iter().map(|asked| place(asked).trace).collect();
    assert!(asked.len() > 4, "{asked:?}");
    assert_eq!((ids.len(), traces.len()), (asked.len(), asked.len()));
    assert!(asked.iter().all(|asked| !place(asked).sampled));
    let validated = cloud.asked("validate")[0].header("x-request-id").unwrap().to_owned();
    let line = said.stderr.lines().find(|line| line.contains("/validate: 200 after ")).unwrap();
    assert!(line.ends_with(&format!(" ms, request id {validated}")), "{line}");
}

#[test]
fn a_caller_that_is_in_a_trace_stays_in_it() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url).with("TRACEPARENT", TRACEPARENT);
    let key = machine.key.to_string();
    cloud.forget();
    assert_eq!(machine.coditect(&["activate", &key]).code, 0);
    assert!(cloud.asked("/").iter().all(|asked| asked.header("traceparent") == Some(TRACEPARENT)));
    cloud.forget();
    let machine = machine.with("TRACEPARENT", "00-not-a-trace");
    assert_eq!(machine.coditect(&["activate", &key]).code, 0);
    assert!(!place(&cloud.asked("validate")[0]).sampled, "what is none is left alone");
}

#[test]
fn what_was_refused_or_came_to_nothing_can_be_told_by_its_id() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let mut broken = ProblemDocument::new(Code::Unavailable);
    broken.request_id = "req-7".to_owned();
    cloud.mood().problem_on = Some(("/validate", broken));
    let refused = machine.coditect(&["activate", &key]);
    assert!(refused.stderr.contains("Support finds it by request id req-7."), "{refused:?}");
    cloud.mood().problem_on = None;
    cloud.mood().silent_on = Some("/validate");
    let lost = machine.coditect(&["activate", &key, "--verbose"]);
    let last = cloud.asked("/validate").last().unwrap().header("x-request-id").unwrap().to_owned();
    assert!(lost.stderr.contains(&format!(", request id {last}")), "{lost:?}");
}
