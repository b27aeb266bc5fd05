//! Runs the `ops` command line in the environment of a deployment of its own.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use protocol::id::{LicenseId, TenantId};
use serde_json::Value;
use testing::World;
use testing::world::PEPPER;

/// Part of every database URL here, and of nothing that is printed.
pub(crate) const PASSWORD: &str = "owner-Pa55word";

pub(crate) struct OpsCli {
    pub(crate) world: World,
    pub(crate) environment: BTreeMap<String, String>,
}

/// Exit status and output of a run.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl OpsCli {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let mut environment = world.variables("coditect_owner");
        environment.retain(|name, _| ["DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER"].contains(&name.as_str()));
        environment.insert("DATABASE_URL".to_owned(), format!("{} password={PASSWORD}", world.db.owner_url()));
        environment.insert("USER".to_owned(), "alice".to_owned());
        Self { world, environment }
    }

    /// Sets a variable, or removes it.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.environment.insert(name.to_owned(), value.to_owned()),
            None => self.environment.remove(name),
        };
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> CommandOutput {
        output(command(&self.environment, args)).await
    }

    /// Runs a command that must succeed, with `--json`: one object on standard output and nothing else.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], args].concat()).await;
        assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{args:?}: {ended:?}");
        ended.object()
    }

    /// Returns the rows of a list.
    pub(crate) async fn list(&self, args: &[&str]) -> Vec<Value> {
        self.json(args).await["data"].as_array().unwrap().clone()
    }

    /// Returns the rows of a list that shows a problem: exit status 1.
    pub(crate) async fn partly(&self, args: &[&str]) -> Vec<Value> {
        let ended = self.run(&[&["--json"], args].concat()).await;
        assert_eq!((ended.status, ended.err.as_str()), (1, ""), "{args:?}: {ended:?}");
        ended.object()["data"].as_array().unwrap().clone()
    }

    /// Runs a command that must succeed, without `--json`: data on standard output, sentences on standard error.
    pub(crate) async fn plain(&self, args: &[&str]) -> CommandOutput {
        let ended = self.run(args).await;
        assert_eq!(ended.status, 0, "{args:?}: {ended:?}");
        ended
    }

    /// Runs a command that is refused, with and without `--json`, and returns the sentence.
    pub(crate) async fn refused(&self, args: &[&str]) -> String {
        self.failed(args, 1).await
    }

    /// Runs a command that fails with a status, with and without `--json`: standard error and the object have the same sentence.
    pub(crate) async fn failed(&self, args: &[&str], status: i32) -> String {
        let plain = self.run(args).await;
        assert_eq!((plain.status, plain.out.as_str()), (status, ""), "{args:?}: {plain:?}");
        let json = self.run(&[args, &["--json"]].concat()).await;
        assert_eq!((json.status, json.err.as_str()), (status, ""), "{args:?}: {json:?}");
        let sentence = json.object()["error"].as_str().unwrap().to_owned();
        assert!(sentence.ends_with(['.', ')']) && sentence.contains(' '), "no sentence: {sentence}");
        assert_eq!(plain.err.trim_end(), sentence);
        sentence
    }

    pub(crate) async fn tenant(&self, slug: &str) -> TenantId {
        let made = self.json(&["tenant", "create", "--name", slug, "--slug", slug]).await;
        made["tenant_id"].as_str().unwrap().parse().unwrap()
    }

    /// Issues a license of five seats to the tenant `acme`.
    pub(crate) async fn license(&self) -> LicenseId {
        self.tenant("acme").await;
        let made = self.json(&["license", "issue", "--tenant", "acme", "--plan", "TEAM", "--seats", "5"]).await;
        made["license_id"].as_str().unwrap().parse().unwrap()
    }

    /// Returns the audit log, in order: actor, action, license, detail.
    pub(crate) async fn audit(&self) -> Vec<(String, String, Option<LicenseId>, Value)> {
        let client = self.world.db.connect("postgres").await;
        let sql = "select actor, action, license_id, detail from audit_log order by id";
        let rows = client.query(sql, &[]).await.unwrap();
        let license = |id: Option<uuid::Uuid>| id.map(LicenseId::from_uuid);
        rows.iter().map(|r| (r.get(0), r.get(1), license(r.get(2)), r.get(3))).collect()
    }

    /// Returns the recorded actions, in order, after checking that the actor is the operator.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let entries = self.audit().await;
        assert!(entries.iter().all(|(actor, ..)| actor == "operator:alice"), "{entries:?}");
        entries.into_iter().map(|(_, action, ..)| action).collect()
    }
}

impl CommandOutput {
    /// Returns the only object on standard output.
    pub(crate) fn object(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert!(value.is_object(), "{value}");
        value
    }
}

pub(crate) fn command(environment: &BTreeMap<String, String>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ops"));
    command.env_clear().envs(environment).env("RUST_BACKTRACE", "1").args(args).stdin(Stdio::null());
    command
}

/// Runs a command, and checks that it neither panicked nor printed a secret.
pub(crate) async fn output(mut command: Command) -> CommandOutput {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let status = output.status.code().expect("no signal");
    let ended = CommandOutput { status, out: text(output.stdout), err: text(output.stderr) };
    let both = format!("{}{}", ended.out, ended.err);
    assert!(!both.contains(PASSWORD) && !both.contains(PEPPER), "a secret was told: {ended:?}");
    assert!(!both.contains("panicked") && !both.contains("backtrace"), "{ended:?}");
    ended
}
