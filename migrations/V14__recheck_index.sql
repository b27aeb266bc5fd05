-- Each state of a subscription looks for the events that wait to be compared with Stripe, by the subscription. An index of
-- their times did not help: while little was known of the table, all of its rows were read.
create index stripe_events_recheck_of on stripe_events (recheck) where recheck is not null;
drop index stripe_events_recheck;
