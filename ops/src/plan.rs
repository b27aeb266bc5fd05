//! The plan catalogue: data, not code.

use std::collections::HashSet;
use std::path::Path;

use protocol::wire::{Feature, Quotas, Tier};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::office::Office;
use crate::printer::{Failure, Shown};

const PLANS: &str = "/* plans */
    select p.code, p.tier, p.name, p.included_seats, p.devices_per_user, array_to_string(p.features, ' '), p.quotas,
           coalesce((select string_agg(price_id, ' ' order by price_id) from plan_prices where plan_code = p.code), '')
    from plans p order by p.code";
/// The whole catalogue in one statement, so that it is all there or not at all.
const PLANS_IMPORT: &str = "/* plans_import */
    with given as (
        select * from jsonb_to_recordset($1) as p(code text, tier text, name text, included_seats int, devices_per_user int,
            features jsonb, quotas jsonb, prices jsonb)
    ), imported as (
        insert into plans (code, tier, name, included_seats, devices_per_user, features, quotas)
        select code, tier, name, included_seats, devices_per_user,
               coalesce((select array_agg(f) from jsonb_array_elements_text(features) f), '{}'), quotas from given
        on conflict (code) do update set tier = excluded.tier, name = excluded.name, included_seats = excluded.included_seats,
            devices_per_user = excluded.devices_per_user, features = excluded.features, quotas = excluded.quotas, updated_at = now()
        returning code
    ), prices as (
        insert into plan_prices (price_id, plan_code, kind, seats)
        select x.price_id, i.code, x.kind, x.seats
        from given g join imported i on i.code = g.code,
             jsonb_to_recordset(g.prices) as x(price_id text, kind text, seats int)
        on conflict (price_id) do update set plan_code = excluded.plan_code, kind = excluded.kind, seats = excluded.seats
    )
    select count(*) from imported";

/// A catalogue file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    plans: Vec<Plan>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    code: String,
    tier: Tier,
    name: String,
    included_seats: u32,
    devices_per_user: i32,
    features: Vec<Feature>,
    quotas: Quotas,
    #[serde(default)]
    prices: Vec<Price>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    price_id: String,
    kind: PriceKind,
    seats: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PriceKind {
    Base,
    Seat,
}

/// Every plan.
///
/// # Errors
/// When the database doesn't answer.
pub async fn list(office: &Office) -> Result<Shown, Failure> {
    let rows = office.db.outside_tenants((PLANS, &[])).await?;
    let rows = rows.iter().map(|r| {
        let (text, number) = (|i| json!(r.get::<_, &str>(i)), |i| json!(r.get::<_, i32>(i)));
        vec![text(0), text(1), text(2), number(3), number(4), text(5), r.get(6), text(7)]
    });
    let columns = &["plan", "tier", "name", "included_seats", "devices_per_user", "features", "quotas", "prices"];
    Ok(Shown::List(columns, rows.collect()))
}

/// Adds or replaces plans from a JSON file, all or none of them.
///
/// # Errors
/// When the file can't be read or isn't a catalogue.
pub async fn import(office: &Office, file: &Path) -> Result<Shown, Failure> {
    let refused = |why: String| Failure::Refused(format!("{}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|e| refused(format!("this file can't be read: {e}.")))?;
    let catalogue: Catalogue =
        serde_json::from_slice(&text).map_err(|e| refused(format!("this is not a catalogue: {e}.")))?;
    let (mut codes, mut prices) = (HashSet::new(), HashSet::new());
    for plan in &catalogue.plans {
        plan.check().map_err(&refused)?;
        if !codes.insert(&plan.code) {
            return Err(refused(format!("plan {} is there twice.", plan.code)));
        }
        if let Some(price) = plan.prices.iter().find(|p| !prices.insert(&p.price_id)) {
            return Err(refused(format!("price {} is there twice; it can belong to one plan only.", price.price_id)));
        }
    }
    let plans = serde_json::to_value(&catalogue.plans).map_err(|e| refused(e.to_string()))?;
    office.db.outside_tenants((PLANS_IMPORT, &[&plans])).await?;
    Ok(Shown::Done(format!("{} plans imported.", catalogue.plans.len())))
}

impl Plan {
    fn check(&self) -> Result<(), String> {
        let code = self.code.as_bytes();
        let good_code = (2..=32).contains(&code.len())
            && code[0].is_ascii_uppercase()
            && code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
        if !good_code {
            return Err(format!(
                "the plan code {} must be 2 to 32 capital letters, digits and underscores.",
                self.code
            ));
        }
        let seats = 1..=1_000_000;
        if !seats.contains(&self.included_seats) || self.devices_per_user < -1 {
            return Err(format!(
                "plan {}: included_seats is 1 to 1,000,000, devices_per_user at least -1 (no limit).",
                self.code
            ));
        }
        match self.prices.iter().find(|p| !seats.contains(&p.seats) || p.price_id.is_empty()) {
            Some(price) => {
                Err(format!("plan {}: price {} needs an id and 1 to 1,000,000 seats.", self.code, price.price_id))
            }
            None => Ok(()),
        }
    }
}
