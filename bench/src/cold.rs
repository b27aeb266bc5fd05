//! Costs of scaling to zero: each function's time from `exec` to its first answers, the size of its image and its idle
//! memory, next to a bare server, checked against the product's targets.

mod start;
mod work;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use start::{Program, Question};
use work::Work;

use crate::print_line;
use crate::table::{ms, table};

/// Starts of each function for each question, with its file in memory and not.
const STARTS: usize = 15;
/// The targets: process start to first answer, the stripped program, idle memory.
const TO_ANSWER: Duration = Duration::from_millis(50);
const PROGRAM_BYTES: u64 = 15 << 20;
const IDLE_BYTES: u64 = 20 << 20;
/// The program to compare functions with, and the one with all functions, which is never scaled to zero.
const BARE: &str = "hello";
const ALL: &str = "all-in-one";
/// The only other file in an image.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// One program's times, by question and by whether its file was in memory; and its memory in bytes.
#[derive(Debug, Default)]
struct Costs {
    times: [[Vec<Duration>; 2]; 3],
    idle_bytes: u64,
}

/// Prints both tables. Fails where a function misses a target.
pub(crate) async fn run(v: &HashMap<String, String>) -> ExitCode {
    let folder = PathBuf::from(&v["BENCH_COLD_DIR"]);
    let names: Vec<&str> = v["BENCH_COLD"].split_whitespace().collect();
    let mut work = Work::open(v).await;
    let programs: Vec<Program> = names.iter().map(|name| Program::new(v, &folder, name)).collect();
    let mut costs: Vec<Costs> = names.iter().map(|_| Costs::default()).collect();
    // They take turns, so that other load on the machine falls on all of them.
    for round in 0..STARTS {
        for is_cold in [false, true] {
            for (program, costs) in programs.iter().zip(&mut costs) {
                for question in Question::ALL {
                    let (request, status) = match question {
                        _ if program.name == BARE => (crate::load::post("/", None, "{}"), 200),
                        Question::Health => (start::get("/health"), 200),
                        Question::Ready => (start::get("/ready"), 200),
                        Question::Work => work.request(&program.name),
                    };
                    if is_cold {
                        program.forget();
                    }
                    let started = program.start(&request, status);
                    costs.times[question as usize][usize::from(is_cold)].push(started.to_answer);
                    if round + 1 == STARTS && question == Question::Work {
                        std::thread::sleep(Duration::from_millis(500));
                        costs.idle_bytes = started.resident();
                    }
                }
            }
        }
    }
    let mut missed = Vec::new();
    print_line(&times(&programs, &mut costs, &mut missed));
    print_line("");
    print_line(&sizes(&programs, &costs, &mut missed));
    print_line("");
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(std::io::stderr(), "These miss a target: {}.", missed.join(", "));
    ExitCode::FAILURE
}

fn verdict(is_kept: bool, what: String, missed: &mut Vec<String>) -> String {
    if is_kept {
        return "kept".to_owned();
    }
    missed.push(what);
    "**missed**".to_owned()
}

fn times(programs: &[Program], costs: &mut [Costs], missed: &mut Vec<String>) -> String {
    let mut rows = Vec::new();
    for (program, costs) in programs.iter().zip(costs) {
        let medians = costs.times.each_mut().map(|by_cache| {
            by_cache.each_mut().map(|times| {
                times.sort_unstable();
                times[times.len() / 2]
            })
        });
        let mut row = vec![program.name.clone()];
        row.extend(medians.iter().flatten().map(|median| ms(*median)));
        let is_kept = medians.iter().flatten().all(|median| *median < TO_ANSWER);
        row.push(match program.name.as_str() {
            // All functions in one never scale to zero.
            BARE | ALL => String::new(),
            name => verdict(is_kept, format!("{name}'s start"), missed),
        });
        rows.push(row);
    }
    let target = format!("all < {}", ms(TO_ANSWER));
    let header = ["from exec to", "`/health`", "cold", "`/ready`", "cold", "a request", "cold", target.as_str()];
    table(&header, rows)
}

fn sizes(programs: &[Program], costs: &[Costs], missed: &mut Vec<String>) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
    let authorities = (size(Path::new(AUTHORITIES)), gzipped(Path::new(AUTHORITIES)));
    let rows = programs.iter().zip(costs).map(|(program, costs)| {
        let bytes = size(&program.path);
        // The program with all functions has another size; the limit applies to programs with one function.
        let is_kept = costs.idle_bytes < IDLE_BYTES && (bytes < PROGRAM_BYTES || program.name == ALL);
        let kept = match program.name.as_str() {
            BARE => String::new(),
            name => verdict(is_kept, format!("{name}'s size"), missed),
        };
        let image = [bytes + authorities.0, gzipped(&program.path) + authorities.1].map(mib);
        let [whole, packed] = image;
        vec![program.name.clone(), mib(bytes), whole, packed, mib(costs.idle_bytes), kept]
    });
    let targets = format!("< {}, < {}", mib(PROGRAM_BYTES), mib(IDLE_BYTES));
    let header = ["", "program", "image", "image, gzip", "idle memory", targets.as_str()];
    table(&header, rows.collect())
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).len()
}

/// Returns the length after `gzip`, as a registry stores a layer.
fn gzipped(file: &Path) -> u64 {
    let output = Command::new("gzip").arg("-c").arg(file).output().expect("gzip");
    assert!(output.status.success(), "gzip packs {}", file.display());
    output.stdout.len() as u64
}
