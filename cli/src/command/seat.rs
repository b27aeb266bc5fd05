//! `coditect seat acquire|hold|release|list`

use coditect::{Ending, Error, HeldSeat, LicenseClient, Seat, SessionId};
use serde_json::{Value, json};

use super::events::{AcquireOutcome, Event, EventListener};
use super::{client, run};
use crate::arguments::{Common, SeatCommand, WaitLimit};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

pub(super) fn seat(printer: Printer, common: &Common, command: SeatCommand) -> Result<ExitStatus, Error> {
    match command {
        SeatCommand::Acquire { export, wait } => acquire(printer, common, wait, export),
        SeatCommand::Hold { wait, command } if command.is_empty() => hold(printer, common, wait.wait),
        SeatCommand::Hold { wait, command } => run::run(printer, common, wait.wait, &command),
        SeatCommand::Release { session, all } => release(printer, &client(printer, common)?, session.as_deref(), all),
        SeatCommand::List => list(printer, &client(printer, common)?),
    }
}

fn acquire(printer: Printer, common: &Common, wait: Option<WaitLimit>, export: bool) -> Result<ExitStatus, Error> {
    let events = EventListener::start(printer, common)?;
    let seat = match events.acquire(wait)? {
        AcquireOutcome::Taken(seat) => seat,
        AcquireOutcome::Exit(status) => return Ok(status),
    };
    let (object, until) = (describe(&seat), seat.seat_expires_at());
    let text = if export { exports(&seat) } else { format!("{} until {until}", seat.session_id()) };
    seat.leave()?;
    printer.notice(&format!(
        "Unless `coditect seat hold` keeps it, the seat is free at {until} again. `coditect seat release` gives it back."
    ));
    let status = printer.answer(&object, &text, ExitStatus::Yes);
    events.finish(None);
    Ok(status)
}

/// Describes a seat for programs, without its secrets.
fn describe(seat: &Seat) -> Value {
    json!({
        "session_id": seat.session_id(),
        "tier": seat.tier(),
        "seat_expires_at": seat.seat_expires_at(),
        "expires_at": seat.expires_at(),
        "seats": seat.seats(),
    })
}

/// Formats a seat's variables as `export` commands. None of the values has a character that a shell would interpret.
fn exports(seat: &Seat) -> String {
    let lines = run::variables(seat).map(|(name, value)| format!("export {name}='{value}'"));
    lines.join("\n")
}

fn hold(printer: Printer, common: &Common, wait: Option<WaitLimit>) -> Result<ExitStatus, Error> {
    let events = EventListener::start(printer, common)?;
    let seat = match events.acquire(wait)? {
        AcquireOutcome::Taken(seat) => seat,
        AcquireOutcome::Exit(status) => return Ok(status),
    };
    let printed = printer.answer(&describe(&seat), &seat.session_id().to_string(), ExitStatus::Yes);
    let status = loop {
        match events.next(None) {
            // A hold normally ends with a signal.
            Some(Event::Signal(caught)) if caught.is_request_to_end() => break printed,
            Some(Event::SeatEnded(Ending::Refused(_))) => break ExitStatus::No,
            Some(Event::SeatEnded(Ending::Unreachable)) | None => break ExitStatus::Broken,
            Some(_) => {}
        }
    };
    events.finish(Some(seat));
    Ok(status)
}

fn release(printer: Printer, client: &LicenseClient, session: Option<&str>, all: bool) -> Result<ExitStatus, Error> {
    let held = client.held_seats()?;
    let session = match session.map(|typed| find_session(&held, typed)) {
        None => None,
        Some(Ok(session)) => Some(session),
        Some(Err(sentence)) => {
            let hint = "`coditect seat list` shows the seats of this machine.";
            return Ok(printer.failure(&sentence, hint, "usage", ExitStatus::Usage));
        }
    };
    let chosen = |seat: &&HeldSeat| session.is_none_or(|session| session == seat.session_id);
    let (kept, left): (Vec<&HeldSeat>, Vec<&HeldSeat>) =
        held.iter().filter(chosen).partition(|seat| seat.process.is_some());
    if left.len() > 1 && !all {
        let hint = "`coditect seat list` shows them; name one, or `--all`.";
        return Ok(printer.failure("More than one seat was left here.", hint, "usage", ExitStatus::Usage));
    }
    let mut released = Vec::new();
    for seat in left {
        if client.release_left(seat.session_id)? {
            released.push(seat.session_id);
        }
    }
    if released.is_empty() {
        return Ok(print_nothing_released(printer, session, &kept));
    }
    let text: Vec<String> = released.iter().map(|session| format!("Released {session}.")).collect();
    Ok(printer.answer(&json!({"released": released}), &text.join("\n"), ExitStatus::Yes))
}

/// Returns the session that was typed, whole or as a unique prefix.
fn find_session(held: &[HeldSeat], typed: &str) -> Result<SessionId, String> {
    if let Ok(session) = typed.parse() {
        return Ok(session);
    }
    let typed = typed.to_ascii_lowercase();
    let mut found: Vec<SessionId> = held.iter().map(|seat| seat.session_id).collect();
    found.retain(|session| session.to_string().starts_with(&typed));
    found.dedup();
    match found[..] {
        [session] => Ok(session),
        [] => Err(format!("No seat of this machine begins with {typed:?}.")),
        _ => Err(format!("More than one seat of this machine begins with {typed:?}.")),
    }
}

/// Reports that no seat was released. That is a success for a seat that isn't there, and a failure for one that a process keeps.
fn print_nothing_released(printer: Printer, session: Option<SessionId>, kept: &[&HeldSeat]) -> ExitStatus {
    if let Some((seat, process)) = kept.iter().find_map(|seat| Some((seat, seat.process?))) {
        let sentence = format!("{} is kept by process {process}, which gives it back when it ends.", seat.session_id);
        return printer.failure(&sentence, &format!("`kill {process}` ends it."), "seat_kept", ExitStatus::No);
    }
    let text = match session {
        Some(session) => format!("{session} is no seat that was left here; perhaps it has ended."),
        None => "No seat was left here.".to_owned(),
    };
    printer.notice(&text);
    printer.answer(&json!({"released": []}), "Nothing to release.", ExitStatus::Yes)
}

fn list(printer: Printer, client: &LicenseClient) -> Result<ExitStatus, Error> {
    let seats = client.held_seats()?;
    let mut lines =
        vec!["SESSION                               KEPT BY   UNTIL                 LAST HEARTBEAT".to_owned()];
    lines.extend(seats.iter().map(|seat| {
        let process = seat.process.map_or_else(|| "nobody".to_owned(), |process| process.to_string());
        let heartbeat = seat.last_heartbeat_at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
        format!("{}  {process:<8}  {:.0}  {heartbeat}", seat.session_id, seat.seat_expires_at)
    }));
    let text = if seats.is_empty() { "This machine has no seat.".to_owned() } else { lines.join("\n") };
    Ok(printer.answer(&json!({"seats": seats}), &text, ExitStatus::Yes))
}
