//! `POST /api/v1/billing/{checkout,portal}`: to Stripe's pages and back.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::in_whole_seconds;
use crate::id::{PlanCode, ReturnUrl};

/// Number of seats to buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 100_000, example = 7))]
pub struct SeatNumber(u32);

impl SeatNumber {
    /// The most that can be bought without contacting the vendor.
    pub const MAX: u32 = 100_000;

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for SeatNumber {
    type Error = SeatNumberError;

    fn try_from(number: u32) -> Result<Self, SeatNumberError> {
        if (1..=Self::MAX).contains(&number) { Ok(Self(number)) } else { Err(SeatNumberError) }
    }
}

impl From<SeatNumber> for u32 {
    fn from(seats: SeatNumber) -> Self {
        seats.0
    }
}

/// That many seats cannot be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatNumberError;

impl fmt::Display for SeatNumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("From 1 to 100000 seats can be bought at once.")
    }
}

impl std::error::Error for SeatNumberError {}

/// Asks for a page where a plan can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckoutRequest {
    /// The plan.
    pub plan: PlanCode,
    /// Number of seats; by default as many as the plan includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatNumber>,
    /// Where the browser goes after the payment.
    pub success_url: ReturnUrl,
    /// Where the browser goes when the person cancels.
    pub cancel_url: ReturnUrl,
}

/// A page where the plan can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckoutAnswer {
    /// Where to send the browser.
    #[cfg_attr(feature = "openapi", schema(example = "https://checkout.stripe.com/c/pay/cs_live_…"))]
    pub url: String,
    /// When the page expires.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-22T09:30:00Z"))]
    pub expires_at: Timestamp,
}

/// Asks for a page where cards, seats and plans are changed, and invoices kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortalRequest {
    /// Where the browser goes after the visit.
    pub return_url: ReturnUrl,
}

/// A page where what was bought can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortalAnswer {
    /// Where to send the browser, soon.
    #[cfg_attr(feature = "openapi", schema(example = "https://billing.stripe.com/p/session/live_…"))]
    pub url: String,
}
