//! Stripe's events for operators: those that could not be applied, and another attempt.

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;
use webhook_stripe::event_store::EventStore;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

/// What Stripe said, and what became of it.
#[derive(Debug, Subcommand)]
pub(crate) enum Stripe {
    /// Show events, the newest first.
    Events {
        /// Only those that could not be applied.
        #[arg(long, conflicts_with_all = ["waiting", "recheck"])]
        failed: bool,
        /// Only those whose customer or subscription isn't known yet.
        #[arg(long, conflicts_with = "recheck")]
        waiting: bool,
        /// Only those that are to be compared with Stripe.
        #[arg(long)]
        recheck: bool,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Try again what failed or waits, and compare with Stripe what events left undecided; all, or one event.
    Retry { event: Option<String> },
    /// Compare every customer with Stripe, show what differs, and bring licenses to what Stripe has.
    Reconcile {
        /// Only show what differs.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Stripe {
    pub(crate) async fn run(self) -> Result<Output, Failure> {
        match self {
            Self::Events { failed, waiting, recheck, limit } => {
                let states = [(failed, "failed"), (waiting, "waiting"), (recheck, "recheck")];
                let state = states.into_iter().find_map(|(is_asked, state)| is_asked.then_some(state));
                events(&OpsContext::from_env()?, state, limit).await
            }
            Self::Retry { event } => {
                let (ops, store) = OpsContext::with(EventStore::from_setup)?;
                retry(&ops, &store, event.as_deref()).await
            }
            Self::Reconcile { dry_run } => {
                let (ops, store) = OpsContext::with(EventStore::from_setup)?;
                reconcile(&ops, &store, !dry_run).await
            }
        }
    }
}

/// Selects events, the newest first.
const EVENTS: &str = "/* stripe_events */
    select id, type, livemode, state, created, attempts, error, array_to_string(waits_for, ' ') as waits_for, recheck
    from stripe_events
    where $1::text is null or state = $1 or ($1 = 'recheck' and recheck is not null)
    order by stripe_events.created desc, id limit $2";
const EVENT: &str = "/* stripe_event */ select state, recheck from stripe_events where id = $1";
/// Counts the events that are left failed, waiting or to be compared; after the attempt, since an applied event also applies
/// those that waited for it.
const LEFT: &str = "/* stripe_events_left */
    select count(*) filter (where state = 'failed'), count(*) filter (where state = 'waiting'), count(recheck)
    from stripe_events where $1::text is null or id = $1";

const COLUMNS: &[&str] =
    &["event_id", "type", "livemode", "state", "created_at", "attempts", "error", "waits_for", "recheck"];

/// Lists the newest events: all, or those of a state (`recheck`: those that are to be compared with Stripe).
///
/// # Errors
/// When the database doesn't answer.
async fn events(ops: &OpsContext, state: Option<&str>, most: u32) -> Result<Output, Failure> {
    let rows = ops.db.outside_tenants((EVENTS, &[&state, &i64::from(most)])).await?;
    Ok(Output::List(COLUMNS, rows.iter().map(row).collect()))
}

fn row(row: &Row) -> Vec<Value> {
    let text = |column| json!(row.get::<_, Option<&str>>(column).filter(|text| !text.is_empty()));
    vec![
        text("id"),
        text("type"),
        json!(row.get::<_, bool>("livemode")),
        text("state"),
        json!(row.get::<_, Timestamp>("created")),
        json!(row.get::<_, i32>("attempts")),
        text("error"),
        text("waits_for"),
        text("recheck"),
    ]
}

/// Tries events that were kept without effect, or one of them, and compares with Stripe what events left undecided.
///
/// # Errors
/// When an event still can't be applied, there is no such event, or the database doesn't answer.
async fn retry(ops: &OpsContext, store: &EventStore, only: Option<&str>) -> Result<Output, Failure> {
    if let Some(id) = only {
        let rows = ops.db.outside_tenants((EVENT, &[&id])).await?;
        let Some(row) = rows.first() else {
            return Err(Failure::Refused(format!(
                "There is no event {id}. `ops stripe events` shows those there are."
            )));
        };
        if row.get::<_, &str>(0) == "applied" && row.get::<_, Option<&str>>(1).is_none() {
            return Ok(Output::Message(format!("The event {id} was applied before; there is nothing to do.")));
        }
    }
    let tried = store.retry(only).await?.len() + store.recheck(only).await?.len();
    let rows = ops.db.outside_tenants((LEFT, &[&only])).await?;
    let [failed, waiting, recheck] = rows.first().map_or([0; 3], |row| [0, 1, 2].map(|i| row.get::<_, i64>(i)));
    let left = format!("{failed} events can't be applied, {waiting} wait");
    match (failed, recheck) {
        (0, 0) => Ok(Output::Message(format!("Tried {tried} events: {left}."))),
        (0, _) => Err(Failure::Refused(format!("{left}, {recheck} could not be compared with Stripe."))),
        _ => Err(Failure::Refused(format!("{left}. `ops stripe events --failed` says why."))),
    }
}

/// Compares all that is held of customers with Stripe, and unless it is only to be shown, brings licenses to what Stripe has.
///
/// # Errors
/// When there is no key of Stripe's API, something can't be compared or brought to what Stripe has, or the database or Stripe
/// doesn't answer.
async fn reconcile(ops: &OpsContext, store: &EventStore, is_applied: bool) -> Result<Output, Failure> {
    if store.livemode().is_none() {
        return Err(Failure::Usage(
            "Set STRIPE_API_KEY to a key that begins with rk_live_, sk_live_, rk_test_ or sk_test_.".into(),
        ));
    }
    let tenants = ops.tenants().await?;
    let found = store.reconcile(&tenants, &ops.actor, is_applied).await.map_err(|problem| {
        Failure::Broken(format!("{} What was compared before stays. Run the same command again.", cause(&problem)))
    })?;
    let columns = &["subscription_id", "customer_id", "before", "after", "problem"];
    let is_partial = found.iter().any(|compared| compared.problem.is_some());
    let rows = found
        .into_iter()
        .map(|c| vec![json!(c.subscription), json!(c.customer), json!(c.before), json!(c.after), json!(c.problem)]);
    let shown = Output::List(columns, rows.collect());
    if is_partial { Err(Failure::Partial(shown)) } else { Ok(shown) }
}

fn cause(problem: &common::Problem) -> String {
    format!("{}.", problem.internal().unwrap_or("The comparison could not be made").trim_end_matches('.'))
}
