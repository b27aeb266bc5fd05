-- Facts about a subscription's invoices, refunds and disputes have a column of their own: the previous release writes
-- `facts` as it knows them, and would drop what it does not know.
alter table subscriptions add column payments jsonb not null default '{}';
comment on column subscriptions.payments is 'invoices, refunds and disputes by id, merged like facts, and what an operator lifted';

-- An add-on that brings no seats.
alter table plan_prices drop constraint plan_prices_kind_check;
alter table plan_prices drop constraint plan_prices_seats_check;
alter table plan_prices add constraint plan_prices_kind_check check (kind in ('base', 'seat', 'other'));
alter table plan_prices add constraint plan_prices_seats_check check (case when kind = 'other' then seats = 0 else seats >= 1 end);
comment on table plan_prices is
    'Stripe price id to plan: a base brings its seats once per quantity, a seat adds to them, any other brings none';
