//! Line items of a purchase: the Stripe prices, and the quantity of each, that make a plan with a number of seats.

use std::collections::BTreeMap;

use common::Problem;
use protocol::wire::{SeatNumber, Tier};
use stripe::api::LineItem;

/// Plans by their code.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(pub(crate) BTreeMap<String, Plan>);

/// A plan, and the prices that it is sold for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tier: Tier,
    pub(crate) included_seats: u32,
    /// The price that new subscriptions get for the plan itself, with the seats that it brings.
    pub(crate) base: Option<Price>,
    /// The price that new subscriptions get for more seats.
    pub(crate) seat: Option<Price>,
}

/// A price of Stripe's, and how many seats it is for.
#[derive(Debug)]
pub(crate) struct Price {
    pub(crate) id: String,
    pub(crate) seats: u32,
}

impl Catalogue {
    /// Returns the line items of a plan with so many seats, or with those that it includes.
    pub(crate) fn items(&self, code: &str, seats: Option<SeatNumber>) -> Result<Vec<LineItem>, Problem> {
        let (plan, base) = match self.0.get(code) {
            Some(plan) if plan.tier == Tier::Enterprise => {
                return Err(self.not_sold(&format!("{code} is by contract: ask us for an offer.")));
            }
            Some(plan) => match &plan.base {
                Some(base) => (plan, base),
                None if plan.tier == Tier::Free => {
                    return Err(self.not_sold(&format!("{code} costs nothing, so there is nothing to buy.")));
                }
                None => return Err(self.not_sold(&format!("{code} is not for sale."))),
            },
            None => return Err(self.not_sold(&format!("There is no plan {code}."))),
        };
        let wanted = seats.map_or(plan.included_seats, SeatNumber::get);
        let more = wanted.saturating_sub(base.seats);
        match &plan.seat {
            _ if more == 0 => Ok(vec![base.times(1)]),
            Some(seat) if more.is_multiple_of(seat.seats) => Ok(vec![base.times(1), seat.times(more / seat.seats)]),
            None if wanted.is_multiple_of(base.seats) => Ok(vec![base.times(wanted / base.seats)]),
            // More than was asked for would be paid for; fewer would not do.
            seat => {
                let step = seat.as_ref().map_or(base.seats, |seat| seat.seats);
                let enough = base.seats + more.div_ceil(step) * step;
                Err(Problem::invalid(
                    "/seats",
                    format!(
                        "{code} has {} seats or {step} at a time more: {} or {enough}, for instance.",
                        base.seats,
                        enough - step
                    ),
                ))
            }
        }
    }

    fn not_sold(&self, why: &str) -> Problem {
        let sold = self.0.iter().filter(|(_, plan)| plan.base.is_some() && plan.tier != Tier::Enterprise);
        let sold: Vec<&str> = sold.map(|(code, _)| code.as_str()).collect();
        let sold = if sold.is_empty() { "none at the moment".to_owned() } else { sold.join(", ") };
        Problem::invalid("/plan", format!("{why} Plans that can be bought here: {sold}."))
    }
}

impl Price {
    fn times(&self, quantity: u32) -> LineItem {
        LineItem { price: self.id.clone(), quantity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(id: &str, seats: u32) -> Option<Price> {
        Some(Price { id: id.to_owned(), seats })
    }

    fn bought(plan: Plan, seats: u32) -> Result<String, String> {
        let catalogue = Catalogue(BTreeMap::from([("TEAM".to_owned(), plan)]));
        let seats = SeatNumber::try_from(seats).ok();
        let items = catalogue.items("TEAM", seats).map_err(|problem| format!("{problem:?}"))?;
        Ok(items.iter().map(|item| format!("{}x{}", item.price, item.quantity)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn seats_are_made_of_a_base_and_more() {
        for (wanted, expected) in [(0, "b x1"), (1, "b x1"), (5, "b x1"), (6, "b x1 s x1"), (100_000, "b x1 s x99995")]
        {
            let plan = Plan { tier: Tier::Team, included_seats: 5, base: price("b ", 5), seat: price("s ", 1) };
            assert_eq!(bought(plan, wanted).unwrap(), expected, "{wanted}");
        }
        // More can be included than the base's price brings.
        let plan = Plan { tier: Tier::Team, included_seats: 7, base: price("b ", 5), seat: price("s ", 1) };
        assert_eq!(bought(plan, 0).unwrap(), "b x1 s x2");
    }

    #[test]
    fn a_base_alone_is_multiplied() {
        for (wanted, expected) in [(0, "b x1"), (1, "b x1"), (3, "b x3")] {
            let plan = Plan { tier: Tier::Business, included_seats: 1, base: price("b ", 1), seat: None };
            assert_eq!(bought(plan, wanted).unwrap(), expected, "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_what_can() {
        let tens = || Plan { tier: Tier::Team, included_seats: 5, base: price("b ", 5), seat: price("s ", 10) };
        assert_eq!(bought(tens(), 25).unwrap(), "b x1 s x2");
        assert!(bought(tens(), 20).unwrap_err().contains("15 or 25, for instance"), "{:?}", bought(tens(), 20));
        let fives = || Plan { tier: Tier::Team, included_seats: 5, base: price("b ", 5), seat: None };
        assert_eq!(bought(fives(), 10).unwrap(), "b x2");
        assert!(bought(fives(), 11).unwrap_err().contains("10 or 15, for instance"), "{:?}", bought(fives(), 11));
    }
}
