//! An engine with the client embedded: `cargo run -p coditect --example engine`.
//!
//! It asks whether it may run, holds a seat while it works where the license has seats, counts its commands where they are
//! limited, and records its work. Each way in which that can end is printed for a person to read.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own has no other way to speak")]

use std::process::ExitCode;

use coditect::{Draft, Error, Kind, License, LicenseClient, LicenseClientBuilder, Seat, Source, Verdict};
use serde_json::json;

fn main() -> ExitCode {
    match run(LicenseClient::builder()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{}", error.hint());
            ExitCode::FAILURE
        }
    }
}

/// Runs the engine, from the license check to the last record.
pub(crate) fn run(builder: LicenseClientBuilder) -> Result<(), Error> {
    let client = builder.on_notice(|notice| eprintln!("{notice}")).build()?;

    let license = match client.validate()? {
        Verdict::Valid(license) => license,
        Verdict::Invalid(no) => {
            eprintln!("{}", no.message);
            return Ok(());
        }
        Verdict::Lapsed { outage } => {
            eprintln!("{outage} The free tier applies.");
            License::free()
        }
    };

    // The free tier has no seats. Held until the end of this function, however it ends.
    let seat = if license.source == Source::Free { None } else { Some(client.acquire()?) };
    let context = client.context();

    for step in ["plan", "write", "review"] {
        if let Some(ending) = seat.as_ref().and_then(Seat::ended) {
            eprintln!("{ending}");
            return Ok(());
        }
        if let Some(today) = client.count_command()? {
            println!("{} of {} commands are left today", today.left(), today.limit);
        }
        println!("{step}: done");
        context.store().put(&Draft {
            kind: Kind::Task,
            id: step.parse()?,
            project_id: None,
            content: json!({"description": step, "status": "completed"}),
        })?;
    }

    // Records that stay here go out with the next sync, if not with this one.
    match context.sync(|_| ()) {
        Ok(synced) => println!("{} records sent", synced.pushed.sent()),
        Err(error) => eprintln!("{error} {}", error.hint()),
    }
    Ok(())
}
