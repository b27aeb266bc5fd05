//! The statements of `billing`.

use std::collections::btree_map::Entry;

use common::postgres::Query;
use common::{Db, Problem};
use protocol::id::{TenantId, UserId};
use tokio_postgres::Row;

use crate::catalogue::{Catalogue, Plan, Price};

const CATALOGUE: &str = "/* catalogue */
    select p.code, p.tier, p.included_seats, x.price_id, x.kind, x.seats
    from plans p left join plan_prices x on x.plan_code = p.code and x.sold
    order by p.code, x.price_id";

/// The tenant's customer at Stripe in the mode of our key; the latest, where there are several.
const CUSTOMER: &str = "/* customer */
    select id from stripe_customers
    where deleted_at is null and ($1::boolean is null or livemode = $1)
    order by created_at desc, id limit 1";

const USER_EMAIL: &str = "/* user_email */ select email from users where id = $1";

/// The rows that a sale is made from.
#[derive(Debug)]
pub(crate) struct Sale {
    pub(crate) catalogue: Catalogue,
    pub(crate) customer: Option<String>,
    pub(crate) email: Option<String>,
}

/// Reads the catalogue, the tenant's customer at Stripe, and the caller's e-mail address.
pub(crate) async fn sale(db: &Db, tenant: TenantId, user: UserId, livemode: Option<bool>) -> Result<Sale, Problem> {
    let tx = db.tenant("sale", tenant).await?;
    let user = user.as_uuid();
    let queries: [Query<'_>; 3] = [(CATALOGUE, &[]), (CUSTOMER, &[&livemode]), (USER_EMAIL, &[&user])];
    let [plans, customer, email] = tx.finish(queries).await?;
    let first = |rows: Vec<Row>| rows.first().map(|row| row.get(0));
    Ok(Sale { catalogue: catalogue(&plans)?, customer: first(customer), email: first(email) })
}

/// The tenant's customer at Stripe, if it has bought something.
pub(crate) async fn customer(db: &Db, tenant: TenantId, livemode: Option<bool>) -> Result<Option<String>, Problem> {
    let tx = db.tenant("customer", tenant).await?;
    let [rows] = tx.finish([(CUSTOMER, &[&livemode])]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

fn catalogue(rows: &[Row]) -> Result<Catalogue, Problem> {
    let count = |number: i32| u32::try_from(number).map_err(Problem::internal_error);
    let mut catalogue = Catalogue::default();
    for row in rows {
        let plan = match catalogue.0.entry(row.get("code")) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Plan {
                tier: row.get::<_, &str>("tier").parse().map_err(Problem::internal_error)?,
                included_seats: count(row.get("included_seats"))?,
                base: None,
                seat: None,
            }),
        };
        if let Some(id) = row.get::<_, Option<String>>("price_id") {
            // At most one price of a kind is sold.
            let price = Some(Price { id, seats: count(row.get("seats"))? });
            match row.get("kind") {
                "base" => plan.base = price,
                "seat" => plan.seat = price,
                _ => {}
            }
        }
    }
    Ok(catalogue)
}
