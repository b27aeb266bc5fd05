//! `coditect validate`

use coditect::{InvalidReason, OtherLicense};
use jiff::SignedDuration;
use protocol::problem::{Code, ProblemDocument};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};

const VALID: &str = "The license is valid.\ntier         TEAM\ncommands/day unlimited\nfeatures     all_agents, shared_context\n\
                     offline      until {time}\n";

const APART: &str = "This machine's clock is 2 days ahead of the cloud's. Set the clock.\n";

const DOUBT: &str = "This machine's clock has moved ahead by 8 days, and what is stored no longer serves. If the clock is wrong, \
                     set it right: then it serves again.\n";

/// Makes a machine whose license was validated two days ago.
fn activated_two_days_ago(cloud: &Cloud) -> Machine {
    cloud.mood().signed_ago = SignedDuration::from_hours(48);
    let machine = Machine::activated(&cloud.url);
    cloud.mood().signed_ago = SignedDuration::ZERO;
    cloud.forget();
    machine
}

#[test]
fn a_young_answer_is_used_without_a_call() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.forget();
    expect(&machine.coditect(&["validate"]), 0, VALID, "");
    assert!(cloud.asked("/").is_empty());
}

#[test]
fn an_older_answer_is_asked_for_again() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    expect(&machine.coditect(&["validate"]), 0, VALID, "");
    assert_eq!(cloud.asked("validate").len(), 1);
    // The new answer is less than a day old.
    cloud.forget();
    expect(&machine.coditect(&["validate"]), 0, VALID, "");
    assert!(cloud.asked("/").is_empty());
}

#[test]
fn offline_the_last_answer_serves_and_says_how_long() {
    let mut cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    cloud.stop();
    let told = "Cloud validation unavailable. Using cached license (valid for 5 more days).\n";
    expect(&machine.coditect(&["validate"]), 0, VALID, told);
    expect(&machine.coditect(&["validate", "--quiet"]), 0, VALID, "");
    expect(
        &machine.coditect(&["--json", "validate"]),
        0,
        "{\"features\":[\"all_agents\",\"shared_context\"],\"grace_until\":\"{time}\",\"quotas\":{\"commands_per_day\":-1},\
         \"refresh_after\":\"{time}\",\"source\":\"grace\",\"tier\":\"TEAM\",\"valid\":true,\"validated_at\":\"{time}\"}\n",
        told,
    );
}

#[test]
fn a_cloud_that_is_overloaded_is_a_cloud_that_is_away() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    for code in [Code::Unavailable, Code::Internal, Code::RateLimited] {
        let mut problem = ProblemDocument::new(code);
        problem.retry_after_seconds = Some(30);
        cloud.mood().problem_on = Some(("validate", problem));
        let told = "Cloud validation unavailable. Using cached license (valid for 5 more days).\n";
        expect(&machine.coditect(&["validate"]), 0, VALID, told);
    }
}

#[test]
fn after_the_grace_the_free_limits_apply() {
    let mut cloud = Cloud::start();
    cloud.mood().signed_ago = SignedDuration::from_hours(8 * 24);
    let machine = Machine::activated(&cloud.url);
    cloud.stop();
    let sentence = "The cloud cannot be reached at {cloud}/api/v1/licenses/validate (connection refused). No earlier answer \
                    serves any more, so the limits of the free tier apply: 10 commands a day.";
    expect(
        &machine.coditect(&["validate"]),
        1,
        "",
        &format!("{DOUBT}error: {sentence}\nhint: Check the network; `coditect doctor` looks for the cause.\n"),
    );
    let json = machine.coditect(&["validate", "--json", "--quiet"]);
    expect(
        &json,
        1,
        &format!(
            "{{\"features\":[],\"message\":\"{sentence}\",\"quotas\":{{\"commands_per_day\":10}},\"reason\":\"cloud_unavailable\",\
             \"source\":\"free\",\"tier\":\"FREE\",\"valid\":false}}\n"
        ),
        "",
    );
}

#[test]
fn a_definite_no_ends_the_grace() {
    let mut cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    cloud.mood().invalid = Some(InvalidReason::Revoked);
    expect(
        &machine.coditect(&["validate"]),
        1,
        "",
        "error: This license has been revoked. Ask your admin for another key.\nhint: `coditect activate KEY` stores another \
         key; `coditect status` shows which one is stored.\n",
    );
    expect(
        &machine.coditect(&["validate", "--json"]),
        1,
        "{\"valid\":false,\"reason\":\"revoked\",\"message\":\"This license has been revoked. Ask your admin for another key.\"}\n",
        "",
    );
    cloud.stop();
    assert_eq!(machine.coditect(&["validate"]).code, 1, "the yes of two days ago is forgotten");
}

#[test]
fn without_a_key_the_free_tier_needs_nobody() {
    let mut cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    cloud.stop();
    expect(
        &machine.coditect(&["validate"]),
        0,
        "No license key: the free tier applies.\ntier         FREE\ncommands/day 10\n`coditect activate KEY` stores your \
         license key.\n",
        "",
    );
    expect(
        &machine.coditect(&["validate", "--json"]),
        0,
        "{\"features\":[],\"quotas\":{\"commands_per_day\":10},\"source\":\"free\",\"tier\":\"FREE\",\"valid\":true}\n",
        "",
    );
}

#[test]
fn an_answer_of_another_issuer_is_not_believed() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    cloud.mood().issuer = Some("https://evil.example".to_owned());
    expect(
        &machine.coditect(&["validate"]),
        2,
        "",
        "error: The cloud's answer cannot be trusted. The token comes from another issuer. Use one from the service that you \
         are calling.\nhint: Check this machine's clock, and the address with `coditect config get cloud-url`.\n",
    );
}

#[test]
fn a_no_names_the_other_license_that_the_organization_has() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    let other = OtherLicense {
        license_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        plan: "TEAM".to_owned(),
        tier: "TEAM".to_owned(),
    };
    cloud.mood().invalid = Some(InvalidReason::Expired);
    cloud.mood().other_license = Some(other);
    let says = "This license has expired. Ask your admin to renew it. Your organization has another license that is active (plan \
                TEAM, license 01890a5d-ac96-774b-bcce-b302099a8057). Ask the owner of your \
                organization for its key and run `coditect activate` with it; where people sign in, `coditect login` \
                needs no key.";
    let hint = "`coditect activate KEY` stores another key; `coditect status` shows which one is stored.";
    expect(&machine.coditect(&["validate"]), 1, "", &format!("error: {says}\nhint: {hint}\n"));
    let object = format!(
        "{{\"valid\":false,\"reason\":\"expired\",\"message\":\"{says}\",\"other_license\":{{\"license_id\":\
         \"01890a5d-ac96-774b-bcce-b302099a8057\",\"plan\":\"TEAM\",\"tier\":\"TEAM\"}}}}\n"
    );
    expect(&machine.coditect(&["validate", "--json"]), 1, &object, "");
}

#[test]
fn a_key_that_was_replaced_is_told_while_it_is_still_good() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    cloud.mood().key_replaced_until = Some("2999-01-31T00:00:00Z".parse().unwrap());
    let told = "This license has another key, and the one stored here is good until {time}. The owner of your organization got \
                the new key by mail: `coditect activate KEY` stores it.\n";
    expect(&machine.coditect(&["validate"]), 0, VALID, told);
}

#[test]
fn a_problem_reaches_programs_as_the_server_wrote_it() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    let mut problem = ProblemDocument::new(Code::ValidationFailed);
    problem.request_id = "req-7".to_owned();
    cloud.mood().problem_on = Some(("validate", problem.clone()));
    let mut unchanged = serde_json::to_value(&problem).unwrap().to_string();
    unchanged.push('\n');
    expect(&machine.coditect(&["validate", "--json"]), 2, &unchanged, "");
}

#[test]
fn a_clock_far_from_the_clouds_is_told() {
    let cloud = Cloud::start();
    let machine = activated_two_days_ago(&cloud);
    cloud.mood().signed_ago = SignedDuration::from_hours(48);
    expect(&machine.coditect(&["validate"]), 0, VALID, APART);
}
