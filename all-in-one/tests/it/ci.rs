//! CI jobs: fresh machines with a license key in the environment, which leave nothing behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use testing::World;

use crate::machine::Machine;

/// The number of machines that come and go, with one key for all of them.
const MACHINES: usize = 30;
/// The number of seats of the license.
const SEATS: usize = 5;

/// Holds a seat until it is interrupted.
fn hold(machine: &Machine) -> Child {
    let mut holder = machine.command(&["seat", "hold"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut session = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut session).unwrap();
    assert!(!session.is_empty(), "it has a seat");
    holder
}

fn end(mut holder: Child) {
    assert!(Command::new("kill").arg(holder.id().to_string()).status().unwrap().success());
    assert!(holder.wait().unwrap().success());
}

#[tokio::test]
async fn thirty_fresh_machines_use_one_key_and_no_more_at_once_than_it_has_seats() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "TEAM", i32::try_from(SEATS).unwrap()).await;
    let process = world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let (url, key) = (process.client.url(), license.key.to_string());
    let job = |n: usize| Machine::new(n, url).with_key(&key);

    // As many jobs at once as there are seats.
    std::thread::scope(|scope| {
        for runner in 0..SEATS {
            let job = &job;
            scope.spawn(move || {
                for n in (runner..MACHINES).step_by(SEATS) {
                    let (status, said) = job(n).coditect(&["run", "--", "sh", "-c", "echo tier $CODITECT_TIER"]);
                    assert_eq!((status, said.as_str()), (0, "tier TEAM\n"), "machine {n}");
                }
            });
        }
    });
    assert_eq!(world.number("select count(*) from devices").await, 0, "a seat needs no place");
    let machines = i64::try_from(MACHINES).unwrap();
    assert_eq!(world.number("select count(*) from sessions where ended_at is not null").await, machines);

    let holders: Vec<Machine> = (100..100 + SEATS).map(job).collect();
    let mut held: Vec<Child> = holders.iter().map(hold).collect();
    let late = job(200);
    let (status, said) = late.coditect(&["run", "--", "echo", "ran"]);
    assert_eq!(status, 1, "a refusal is no free tier: {said}");
    assert!(said.contains("All seats of this license (5) are in use") && !said.contains("ran\n"), "{said}");
    assert_eq!(world.number("select count(*) from sessions where ended_at is null").await, 5);

    let mut waiting = late.command(&["run", "--wait", "5m", "--", "echo", "ran"]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    end(held.pop().unwrap());
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"ran\n");
    held.into_iter().for_each(end);
    assert_eq!(world.number("select count(*) from sessions where ended_at is null").await, 0);
}

#[tokio::test]
async fn a_key_that_ended_is_a_refusal() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let process = world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    world.sql("update licenses set state = 'revoked'").await;
    let machine = Machine::new(1, process.client.url()).with_key(&license.key.to_string());
    let (status, said) = machine.coditect(&["run", "--", "echo", "ran"]);
    assert_eq!(status, 1, "{said}");
    assert!(!said.contains("ran\n") && said.contains("CODITECT_LICENSE_KEY"), "{said}");
}
