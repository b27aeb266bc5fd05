//! The few calls of Stripe's API that are made.
