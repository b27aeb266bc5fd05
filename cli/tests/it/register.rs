//! `coditect register`

use std::fs;
use std::time::Instant;

use crate::cloud::{Cloud, PATIENCE};
use crate::machine::{Machine, expect, install};

const PAGE: &str = "https://buy.example.com/team?from=cli";
const NEXT: &str = "Choose a plan on this page. The license key comes by mail; `coditect activate` stores it.\n";

#[test]
fn it_names_the_page_that_the_cloud_names() {
    let mut cloud = Cloud::start();
    cloud.mood().register_url = Some(PAGE.to_owned());
    let machine = Machine::new(&cloud.url);
    expect(&machine.coditect(&["register", "--no-browser"]), 0, &format!("{PAGE}\n"), NEXT);
    expect(&machine.coditect(&["register", "--json", "-q"]), 0, &format!("{{\"url\":\"{PAGE}\"}}\n"), "");
    assert!(cloud.asked("well-known").iter().all(|asked| asked.header("authorization").is_none()));
    cloud.stop();
    expect(&machine.coditect(&["register", "--no-browser"]), 0, &format!("{PAGE}\n"), NEXT);
}

#[test]
fn it_opens_the_persons_browser() {
    let cloud = Cloud::start();
    cloud.mood().register_url = Some(PAGE.to_owned());
    let machine = Machine::new(&cloud.url);
    // A replacement for the program that opens pages on a desktop.
    let (opener, opened) = (machine.home().join("xdg-open"), machine.home().join("opened"));
    let source = machine.home().join("source");
    fs::write(&source, format!("#!/bin/sh\nprintf %s \"$1\" >{0}.new; mv {0}.new {0}\n", opened.display())).unwrap();
    install(&source, &opener);
    let mut command = machine.command(&["register"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", machine.home().display())).env("DISPLAY", ":1");
    expect(&machine.printed(command.output().unwrap()), 0, &format!("{PAGE}\n"), NEXT);
    let begin = Instant::now();
    while !opened.exists() {
        assert!(begin.elapsed() < PATIENCE, "nothing was opened");
        std::thread::yield_now();
    }
    assert_eq!(fs::read_to_string(&opened).unwrap(), PAGE);
}

#[test]
fn a_cloud_that_sells_nothing_says_so() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let sells_nothing = "error: {cloud} sells nothing by itself: its license keys come from whoever runs it.\nhint: Ask them for a \
                         key; `coditect activate` stores it.\n";
    expect(&machine.coditect(&["register"]), 1, "", sells_nothing);
    // Nor is anything opened that is not a page.
    for url in ["file:///etc/passwd", "javascript:alert(1)", "http://buy.example.com", "--help", "https://a@b.example"]
    {
        cloud.mood().register_url = Some(url.to_owned());
        let machine = Machine::new(&cloud.url);
        expect(&machine.coditect(&["register"]), 1, "", sells_nothing);
    }
}

#[test]
fn offline_it_says_that_it_cannot_know() {
    let machine = Machine::new("http://127.0.0.1:9");
    let printed = machine.coditect(&["register"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "{printed:?}");
    assert!(printed.stderr.starts_with("error: The cloud cannot be reached at {cloud}"), "{printed:?}");
}
