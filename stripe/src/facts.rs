//! What is known of a subscription, merged so that the order of events does not matter, and what follows.
