//! Context sync beside the same work done by SQL alone, on the same Postgres, in turns.

mod cpu;
mod first;
mod poll;
pub(crate) mod pull;
mod push;
pub(crate) mod record;
mod round;
mod rows;
mod sql;
mod tenant;

use std::collections::HashMap;

use crate::print_line;

/// Tenants that `scripts/bench` makes: 16 that we push to, 16 that SQL alone does.
const PUSHED: usize = 32;

/// All tables, or those of `push`, `pull` or `polls`.
pub(crate) async fn run(v: &HashMap<String, String>, part: Option<&str>) {
    let tenants = tenant::all(v).await;
    let (pushed, rest) = tenants.split_at(PUSHED);
    let is_wanted = |name| part.is_none_or(|part| part == name);
    let print = |table: String| print_line(&format!("{table}\n"));
    if is_wanted("push") {
        print(push::table(v, pushed).await);
    }
    if is_wanted("pull") {
        let stream = pull::Stream::open(v, &rest[0]).await;
        print(pull::table(v, &stream).await);
        print(first::table(v, &stream).await);
    }
    if is_wanted("polls") {
        print(poll::table(v, &rest[1..]).await);
    }
}
