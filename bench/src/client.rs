//! Times of the command line as engines start it all day, a whole process each time, next to a process that does nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::print_line;
use crate::table::{ms, table};

/// Number of runs of each command. They take turns, so that other load on the machine falls on all of them.
const RUNS: usize = 300;

/// The commands that are timed.
const COMMANDS: [(&str, &[&str]); 3] = [
    ("**coditect --version**", &["--version"]),
    ("**coditect validate**, from its cache", &["validate", "--json"]),
    ("coditect status", &["status", "--json"]),
];

struct Installed {
    program: PathBuf,
    home: PathBuf,
}

impl Installed {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("CODITECT_HOME", &self.home).args(arguments);
        command
    }

    fn must(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().expect("a program");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Prints both tables.
pub(crate) fn run(v: &HashMap<String, String>) {
    let program = PathBuf::from(&v["BENCH_CLIENT"]);
    let installed = Installed { home: PathBuf::from(&v["BENCH_STACK_DIR"]).join("bench-client"), program };
    installed.must(&["config", "set", "cloud-url", &v["CODITECT_URL"]]);
    installed.must(&["activate", &v["BENCH_KEY"]]);
    installed.must(&["validate"]);

    let nothing = || Command::new("/bin/true");
    let mut times: Vec<Vec<Duration>> = vec![Vec::with_capacity(RUNS); COMMANDS.len() + 1];
    for _ in 0..RUNS {
        times[0].push(timed(nothing()));
        for ((_, arguments), times) in COMMANDS.iter().zip(&mut times[1..]) {
            times.push(timed(installed.command(arguments)));
        }
    }
    let names = ["/bin/true"].into_iter().chain(COMMANDS.iter().map(|(name, _)| *name));
    let rows = names.zip(times).map(|(name, times)| row(name, times)).collect();
    print_line(&table(&["a whole process, warm", "median", "90th percentile", "99th percentile"], rows));
    print_line("");
    let file = vec![vec!["coditect".to_owned(), size(&installed.program), linked(&installed.program)]];
    print_line(&table(&["program", "size, stripped", "`ldd` says"], file));
    print_line("");
}

fn timed(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().expect("a program");
    let took = began.elapsed();
    assert!(status.success(), "{command:?} is well: {status}");
    took
}

fn row(name: &str, mut times: Vec<Duration>) -> Vec<String> {
    times.sort_unstable();
    let at = |percent: usize| ms(times[times.len() * percent / 100]);
    vec![name.to_owned(), at(50), at(90), at(99)]
}

fn size(program: &Path) -> String {
    let bytes = std::fs::metadata(program).expect("a file").len();
    format!("{:.2} MiB", bytes as f64 / 1_048_576.0)
}

/// Returns the first line of `ldd`, which writes to stdout or to stderr if the program is static.
fn linked(program: &Path) -> String {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let says = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&says).lines().next().unwrap_or_default().trim().to_owned()
}
