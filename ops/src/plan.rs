//! The plan catalogue: data, not code.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

use protocol::wire::{Feature, Quotas, Tier};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

const PLANS: &str = "/* plans */
    select p.code, p.tier, p.name, p.included_seats, p.devices_per_user, array_to_string(p.features, ' '), p.quotas,
           coalesce((select string_agg(price_id, ' ' order by kind, price_id) from plan_prices where plan_code = p.code and sold), ''),
           coalesce((select string_agg(price_id, ' ' order by kind, price_id) from plan_prices where plan_code = p.code and not sold), '')
    from plans p order by p.code";
/// Imports the whole catalogue in one statement, so that all of it is there or none. A price of these plans that is not given
/// is no longer sold, and stays understood: subscriptions may have it.
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
    ), given_prices as (
        select x.price_id, i.code, x.kind, x.seats, x.sold
        from given g join imported i on i.code = g.code,
             jsonb_to_recordset(g.prices) as x(price_id text, kind text, seats int, sold boolean)
    ), prices as (
        insert into plan_prices (price_id, plan_code, kind, seats, sold)
        select price_id, code, kind, seats, sold from given_prices
        on conflict (price_id) do update set plan_code = excluded.plan_code, kind = excluded.kind, seats = excluded.seats,
            sold = excluded.sold
    ), archived as (
        update plan_prices p set sold = false
        where p.plan_code in (select code from imported) and p.price_id not in (select price_id from given_prices) and p.sold
        returning p.price_id
    )
    select coalesce(array_agg(price_id order by price_id), '{}') from archived";

/// Selects the prices that are given to a plan, and belong to another one that is not given.
const PRICES_TAKEN: &str = "/* plan_prices_taken */
    select known.price_id, known.plan_code
    from jsonb_to_recordset($1) as g(code text, prices jsonb), jsonb_to_recordset(g.prices) as x(price_id text),
         plan_prices known
    where known.price_id = x.price_id and known.plan_code <> g.code and known.kind <> 'other'
      and not exists (select from jsonb_to_recordset($1) as other(code text) where other.code = known.plan_code)
    order by known.price_id";

/// Numbers of seats that a license, and so a price, can have.
const SEATS: RangeInclusive<u32> = 1..=1_000_000;

/// A catalogue file, as docs/billing.md documents it.
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
    /// None for a price of the kind `other`.
    #[serde(default)]
    seats: u32,
    /// New subscriptions get this price; where no price of the kind has `true`, they get the first without a value.
    sold: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PriceKind {
    /// Names the plan and brings its seats.
    Base,
    /// Adds seats.
    Seat,
    /// Adds no seats and is never sold here: support, training, an add-on.
    Other,
}

/// Lists every plan.
///
/// # Errors
/// When the database doesn't answer.
pub async fn list(ops: &OpsContext) -> Result<Output, Failure> {
    let rows = ops.db.outside_tenants((PLANS, &[])).await?;
    let rows = rows.iter().map(|r| {
        let (text, number) = (|i| json!(r.get::<_, &str>(i)), |i| json!(r.get::<_, i32>(i)));
        vec![text(0), text(1), text(2), number(3), number(4), text(5), r.get(6), text(7), text(8)]
    });
    let columns = &[
        "plan",
        "tier",
        "name",
        "included_seats",
        "devices_per_user",
        "features",
        "quotas",
        "prices",
        "unsold_prices",
    ];
    Ok(Output::List(columns, rows.collect()))
}

/// Adds or replaces plans from a JSON file, all or none of them.
///
/// # Errors
/// When the file can't be read or isn't a catalogue.
pub async fn import(ops: &OpsContext, file: &Path) -> Result<Output, Failure> {
    let refused = |why: String| Failure::Refused(format!("{}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|e| refused(format!("this file can't be read: {e}.")))?;
    let mut catalogue: Catalogue =
        serde_json::from_slice(&text).map_err(|e| refused(format!("this is not a catalogue: {e}.")))?;
    let (mut codes, mut prices) = (HashSet::new(), HashSet::new());
    for plan in &mut catalogue.plans {
        plan.check().map_err(&refused)?;
        plan.choose_sold_prices().map_err(&refused)?;
    }
    for plan in &catalogue.plans {
        if !codes.insert(&plan.code) {
            return Err(refused(format!("plan {} is there twice.", plan.code)));
        }
        if let Some(price) = plan.prices.iter().find(|p| !prices.insert(&p.price_id)) {
            return Err(refused(format!("price {} is there twice; it can belong to one plan only.", price.price_id)));
        }
    }
    let plans = serde_json::to_value(&catalogue.plans).map_err(|e| refused(e.to_string()))?;
    let taken = ops.db.outside_tenants((PRICES_TAKEN, &[&plans])).await?;
    if let Some(row) = taken.first() {
        let (price, owner): (&str, &str) = (row.get(0), row.get(1));
        return Err(refused(format!(
            "price {price} belongs to the plan {owner}, which is not in the file. Import both plans together to move it."
        )));
    }
    let rows = ops.db.outside_tenants((PLANS_IMPORT, &[&plans])).await?;
    let archived: Vec<String> = rows.first().map(|row| row.get(0)).unwrap_or_default();
    let mut done = format!("{} plans imported.", catalogue.plans.len());
    if !archived.is_empty() {
        done.push_str(&format!(
            " No longer sold, because the file does not have them: {}. Subscriptions that have them keep their plan.",
            archived.join(", ")
        ));
    }
    Ok(Output::Message(done))
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
        if !SEATS.contains(&self.included_seats) || self.devices_per_user < -1 {
            return Err(format!(
                "plan {}: included_seats is 1 to 1,000,000, devices_per_user at least -1 (no limit).",
                self.code
            ));
        }
        if let Some((name, _)) = self.quotas.0.iter().find(|(_, most)| **most < -1) {
            return Err(format!("plan {}: the quota {name} is at least -1 (no limit).", self.code));
        }
        for price in &self.prices {
            price.check().map_err(|why| format!("plan {}: {why}", self.code))?;
        }
        Ok(())
    }

    /// Decides which price of each kind is sold, so that each says `true` or `false`.
    fn choose_sold_prices(&mut self) -> Result<(), String> {
        for kind in [PriceKind::Base, PriceKind::Seat] {
            let of_kind = || self.prices.iter().enumerate().filter(|(_, price)| price.kind == kind);
            let mut chosen = of_kind().filter(|(_, price)| price.sold == Some(true)).map(|(place, _)| place);
            let (first, second) = (chosen.next(), chosen.next());
            if second.is_some() {
                return Err(format!(
                    "plan {}: two prices of one kind are marked as sold; new subscriptions can get only one of them.",
                    self.code
                ));
            }
            let sold = first.or_else(|| of_kind().find(|(_, price)| price.sold.is_none()).map(|(place, _)| place));
            for (place, price) in self.prices.iter_mut().enumerate().filter(|(_, price)| price.kind == kind) {
                price.sold = Some(Some(place) == sold);
            }
        }
        self.prices.iter_mut().filter(|p| p.kind == PriceKind::Other).for_each(|price| price.sold = Some(false));
        Ok(())
    }
}

impl Price {
    fn check(&self) -> Result<(), String> {
        let id = &self.price_id;
        if id.is_empty() || id.len() > 255 || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("price {id:?} needs an id as Stripe writes it, without spaces."));
        }
        match self.kind {
            PriceKind::Other if self.seats != 0 => {
                Err(format!("price {id} is of the kind other, which has no seats. Leave out seats."))
            }
            PriceKind::Other if self.sold == Some(true) => {
                Err(format!("price {id} is of the kind other, which is not sold here. Leave out sold."))
            }
            PriceKind::Base | PriceKind::Seat if !SEATS.contains(&self.seats) => {
                Err(format!("price {id} needs 1 to 1,000,000 seats."))
            }
            _ => Ok(()),
        }
    }
}
