//! `coditect telemetry`

use clap::Subcommand;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum TelemetryCommand {
    /// Count which commands are used, and send that to CODITECT
    #[command(after_help = concat!(
        examples!["coditect telemetry on"],
        "\n\nOf each command: its name, how it ended, about how long it took, the version, the operating system and the kind\n\
        of processor, under a random number that is made now and deleted by `coditect telemetry off`. No argument, no path,\n\
        no time of day.",
    ))]
    On,
    /// Stop counting, and delete what was not sent
    #[command(after_help = examples!["coditect telemetry off"])]
    Off,
    /// Show whether it is on, and how many commands wait to be sent
    #[command(after_help = examples!["coditect telemetry status", "coditect telemetry status --json"])]
    Status,
    /// Print exactly what would be sent next
    #[command(after_help = examples!["coditect telemetry show", "coditect telemetry show | jq ."])]
    Show,
}
