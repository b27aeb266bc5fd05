//! `coditect status`

use jiff::SignedDuration;

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};

const MACHINE: &str = "cloud-url    {cloud}\nhardware id  {machine}\nhome         {home}\n";

#[test]
fn it_shows_what_is_known_and_asks_nobody() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    cloud.stop();
    let known = "license key  {key}\nlicence      valid\ntier         TEAM\ncommands/day unlimited\nfeatures     all_agents, \
                 shared_context\noffline      until {time}\nseat token   until {time}\n";
    expect(&machine.coditect(&["status"]), 0, &format!("{known}{MACHINE}"), "");
    expect(
        &machine.coditect(&["status", "--json"]),
        0,
        "{\"license_key\":\"{key}\",\"license\":{\"tier\":\"TEAM\",\"features\":[\"all_agents\",\"shared_context\"],\"quotas\":\
         {\"commands_per_day\":-1},\"source\":\"cache\",\"refresh_after\":\"{time}\",\"grace_until\":\"{time}\"},\
         \"commands_today\":null,\"seat_token_until\":\"{time}\",\"cloud_url\":\"{cloud}\",\"hardware_id\":\"{machine}\",\"home\":\"{home}\"}\n",
        "",
    );
}

#[test]
fn without_a_key_it_shows_the_free_tier() {
    let machine = Machine::new("https://cloud.example");
    let free =
        "license key  none\nlicence      free\ntier         FREE\ncommands/day 10\nused today   0 of 10, 10 left\n";
    expect(&machine.coditect(&["status"]), 0, &format!("{free}{MACHINE}"), "");
}

#[test]
fn when_the_last_answer_no_longer_serves_the_answer_is_no() {
    let cloud = Cloud::start();
    cloud.mood().signed_ago = SignedDuration::from_hours(8 * 24);
    let machine = Machine::activated(&cloud.url);
    let lapsed = "license key  {key}\nlicence      not known; `coditect validate` asks the cloud\nused today   0 of 10, 10 left\n";
    expect(&machine.coditect(&["status"]), 1, &format!("{lapsed}{MACHINE}"), "");
}
