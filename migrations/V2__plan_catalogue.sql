-- The catalogue every deployment starts with; `ops plan import` replaces entries. Prices are those of the development
-- catalogue; a production deployment imports its own.
insert into plans (code, tier, name, included_seats, devices_per_user, features, quotas) values
    ('FREE', 'FREE', 'Free', 1, 1, '{}', '{"commands_per_day": 10}'),
    ('PRO', 'PRO', 'Pro', 1, 5,
     '{unlimited_commands,cloud_sync,all_agents,hooks,multi_agent,multi_device}', '{"commands_per_day": -1}'),
    ('TEAM', 'TEAM', 'Team', 5, 5,
     '{unlimited_commands,cloud_sync,all_agents,hooks,multi_agent,multi_device,shared_context,organization,rbac,team_analytics}',
     '{"commands_per_day": -1}'),
    ('BUSINESS', 'BUSINESS', 'Business', 1, 5,
     '{unlimited_commands,cloud_sync,all_agents,hooks,multi_agent,multi_device,shared_context,organization,rbac,team_analytics}',
     '{"commands_per_day": -1}'),
    ('ENT', 'ENTERPRISE', 'Enterprise', 1, -1,
     '{unlimited_commands,cloud_sync,all_agents,hooks,multi_agent,multi_device,shared_context,organization,rbac,team_analytics,on_premise,air_gap,sso,audit_export}',
     '{"commands_per_day": -1}')
on conflict (code) do nothing;

insert into plan_prices (price_id, plan_code, kind, seats) values
    ('price_pro', 'PRO', 'base', 1),
    ('price_team', 'TEAM', 'base', 5),
    ('price_team_seat', 'TEAM', 'seat', 1),
    ('price_business', 'BUSINESS', 'base', 1)
on conflict (price_id) do nothing;
