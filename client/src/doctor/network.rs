//! Checks of the connection to the cloud, of the clock against the cloud's, and of each of the cloud's functions.

use std::collections::BTreeMap;
use std::thread;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use local::remaining::about;
use protocol::wire::Discovery;
use serde_json::Value;

use crate::cloud::Probe;
use crate::core::Core;
use crate::network::{self, Blocked, Way};
use crate::{Address, Check, Error, Fault};

/// Clock difference that tokens tolerate.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn check(core: &Core) -> Vec<Check> {
    let cloud_url = core.discovery.cloud_url();
    let mut checks = way(cloud_url);
    let at = cloud_url.join("/.well-known/coditect.json");
    let asked = core.time.wall();
    let probe = core.cloud.probe(&at);
    checks.push(clock(core, asked, probe.as_ref().ok()));
    let found = probe.and_then(|probe| Ok((probe.read::<Discovery>(&at)?, probe)));
    let functions = match found {
        Ok((discovery, probe)) => {
            let finding = format!("{cloud_url} answers, and names {} functions", discovery.functions.len());
            checks.push(Check::good("cloud", finding).took(probe.took));
            discovery.functions
        }
        Err(error) => {
            checks.push(unreached("cloud", &error));
            // The functions may be reachable all the same.
            let known = core.discovery.known().ok().flatten();
            known.map(|known| known.functions().clone()).unwrap_or_default()
        }
    };
    checks.extend(each(core, &functions));
    checks
}

fn way(cloud_url: &Address) -> Vec<Check> {
    if !cloud_url.is_encrypted() {
        return vec![Check::good("network", "the cloud is on this machine, so neither proxy nor certificates matter")];
    }
    let blocked = |name, Blocked { cause, fault }| Check::bad(name, cause, fault.hint());
    vec![
        match Way::to(cloud_url) {
            Ok(None) => Check::good("proxy", "none"),
            Ok(Some(way)) => Check::good("proxy", way.to_string()),
            Err(fault) => blocked("proxy", fault),
        },
        match network::believed() {
            Ok(whose) => Check::good("certificates", format!("{whose} are believed")),
            Err(fault) => blocked("certificates", fault),
        },
    ]
}

fn clock(core: &Core, asked: Timestamp, probe: Option<&Probe>) -> Check {
    const NAME: &str = "clock";
    const HINT: &str = "`sudo timedatectl set-ntp true` lets the network set it; `date` shows it.";
    let date = probe.and_then(|probe| DateTimeParser::new().parse_zoned(probe.date.as_deref()?).ok());
    let Some(date) = date else {
        return match core.time.look() {
            Ok(moment) if moment.anchored && !moment.steady => {
                Check::bad(NAME, "is behind the time that it had before", HINT)
            }
            _ => Check::unknown(NAME, "cannot be compared with the cloud's"),
        };
    };
    // The cloud's date is of some time between the request and the answer.
    let took = probe.map(|probe| SignedDuration::try_from(probe.took).unwrap_or_default()).unwrap_or_default();
    let ahead = (asked + took / 2).duration_since(date.timestamp());
    if ahead.abs() <= TOLERANCE {
        return Check::good(NAME, "shows the same time as the cloud's");
    }
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    Check::bad(NAME, format!("is {} {side} the cloud's", about(ahead)), HINT)
}

/// Probes each address once, all in parallel.
fn each(core: &Core, functions: &BTreeMap<String, String>) -> Vec<Check> {
    let mut at: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (function, base) in functions {
        at.entry(base).or_default().push(function);
    }
    let ask = |base: &str| {
        let address = base.parse::<Address>()?.join("/ready");
        let probe = core.cloud.probe(&address)?;
        probe.read::<Value>(&address).map(|_| probe)
    };
    let ask = &ask;
    thread::scope(|scope| {
        let asked: Vec<_> = at.iter().map(|(base, names)| (base, names, scope.spawn(move || ask(base)))).collect();
        let checks = asked.into_iter().filter_map(|(base, names, answer)| {
            let name = if names.len() == 1 { "function" } else { "functions" };
            let names = names.join(", ");
            Some(match answer.join().ok()? {
                Ok(probe) => Check::good(name, format!("{names}: {base} is ready")).took(probe.took),
                Err(error) => {
                    let mut check = unreached(name, &error);
                    check.finding = format!("{names}: {}", check.finding);
                    check
                }
            })
        });
        checks.collect()
    })
}

/// Returns the check of an unreachable server, with its own hint where the error's hint would only point to this command.
fn unreached(name: impl Into<String>, error: &Error) -> Check {
    let hint = match error {
        Error::Unavailable(outage) if outage.fault == Fault::Network => {
            "Open any page in a browser. If none opens, it is this machine's network; if others do, ask your admin whether a \
             firewall or the cloud is down."
        }
        Error::Unavailable(outage) if outage.fault == Fault::Proxy => {
            "`NO_PROXY='*' coditect doctor` tries without the proxy, and `env | grep -i proxy` shows what names it."
        }
        _ => return Check::failed(name, error),
    };
    Check::bad(name, error.to_string(), hint)
}
