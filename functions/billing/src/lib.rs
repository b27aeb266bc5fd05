//! `POST /api/v1/billing/checkout` and `/portal`: owners and admins pay and change what they pay for, at Stripe.
