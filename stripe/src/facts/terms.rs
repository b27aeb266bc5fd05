//! The terms of a license that follow from the facts.

use std::collections::HashMap;
use std::fmt;

use super::Item;

/// The terms of a license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'a> {
    pub(super) items: &'a [Item],
    pub(super) more_items: bool,
    /// The license's standing.
    pub standing: Standing,
    /// When it ends, in seconds since 1970; `None`: it goes on as long as it is paid.
    pub expires_at: Option<i64>,
}

/// A license's standing, as `licenses.standing` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Paid.
    Good,
    /// Not paid, still served.
    PastDue,
    /// Paused.
    Inactive,
    /// Held back by a refund.
    Refunded,
    /// Held back by a dispute.
    Disputed,
}

impl Standing {
    /// Returns the value in `licenses.standing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::PastDue => "past_due",
            Self::Inactive => "inactive",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// Returns true if sessions end with this standing.
    pub fn ends_sessions(self) -> bool {
        matches!(self, Self::Inactive | Self::Refunded | Self::Disputed)
    }
}

/// A price of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The plan's code.
    pub plan: String,
    /// The purpose of the price.
    pub kind: PriceKind,
    /// Seats for each of the quantity.
    pub seats: u32,
}

/// Purpose of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceKind {
    /// The plan, with the seats that it includes. Its period bounds the license.
    Base,
    /// More seats.
    Seat,
    /// An add-on without seats.
    Other,
}

impl PriceKind {
    /// Parses `plan_prices.kind`. A kind that a later release added brings no seats.
    #[must_use]
    pub fn parse(kind: &str) -> Self {
        match kind {
            "base" => Self::Base,
            "seat" => Self::Seat,
            _ => Self::Other,
        }
    }
}

/// Prices by id.
pub type Catalogue = HashMap<String, Price>;

/// Error of items that no license can be derived from. It is shown to operators, never replaced by a guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsError {
    /// A price that the catalogue lacks.
    UnknownPrice(String),
    /// Items of several plans.
    SeveralPlans(String, String),
    /// Only extra seats, or no items.
    NoBase,
    /// More items than the event shows, and Stripe can't be asked.
    MoreItems,
    /// More seats than a license has.
    TooManySeats,
}

impl fmt::Display for ItemsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPrice(price) => write!(
                f,
                "The catalogue has no price {price}. Add it to a plan with `ops plan import`, then `ops stripe retry`."
            ),
            Self::SeveralPlans(one, other) => {
                write!(f, "The subscription has items of the plans {one} and {other}. A license is of one plan.")
            }
            Self::NoBase => f.write_str("The subscription has no item that is a plan's base price."),
            Self::MoreItems => f.write_str(
                "The subscription has more items than the event shows. Set STRIPE_API_KEY, then `ops stripe retry`.",
            ),
            Self::TooManySeats => f.write_str("The subscription has more seats than a license can."),
        }
    }
}

impl Terms<'_> {
    /// Returns the plan and the seats of the items that the catalogue has. An unknown price beside a known base is an add-on of
    /// something else, and changes neither.
    ///
    /// # Errors
    /// The reason why no license can be derived from the items.
    pub fn plan_and_seats(&self, catalogue: &Catalogue) -> Result<(String, i32), ItemsError> {
        const MAX_SEATS: u64 = 1_000_000;
        if self.more_items {
            return Err(ItemsError::MoreItems);
        }
        let (mut plan, mut seats, mut bases) = (None::<&str>, 0_u64, None::<u64>);
        let mut unknown = None;
        for item in self.items {
            let Some(price) = catalogue.get(&item.price) else {
                unknown = unknown.or(Some(&item.price));
                continue;
            };
            match (price.kind, plan) {
                (PriceKind::Other, _) => continue,
                (_, Some(other)) if other != price.plan => {
                    return Err(ItemsError::SeveralPlans(other.to_owned(), price.plan.clone()));
                }
                _ => plan = Some(&price.plan),
            }
            if price.kind == PriceKind::Base {
                bases = Some(bases.unwrap_or(0) + u64::from(item.quantity));
            }
            seats += u64::from(item.quantity) * u64::from(price.seats);
        }
        let Some((plan, bases)) = plan.zip(bases) else {
            return Err(unknown.map_or(ItemsError::NoBase, |price| ItemsError::UnknownPrice(price.clone())));
        };
        // A base that is paid for zero times has no seats, and none can be added to it.
        let seats = if bases == 0 { 0 } else { seats };
        let seats = i32::try_from(seats).ok().filter(|_| seats <= MAX_SEATS).ok_or(ItemsError::TooManySeats)?;
        Ok((plan.to_owned(), seats))
    }
}
