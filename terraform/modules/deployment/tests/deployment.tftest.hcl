# A whole deployment with Google mocked: what each function gets, and what is refused.

# Plans alone: what Google would compute is made up while planning, so that nothing has to be destroyed afterwards.
mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}
mock_provider "random" {
  source          = "./tests/passwords"
  override_during = plan
}

variables {
  environment = "test"
  postgres    = { tier = "db-custom-2-8192", highly_available = true, max_connections = 500 }
  redis       = { memory_gb = 1, replicas = 1 }
  kms         = { protection_level = "HSM" }

  settings = {
    project_id          = "example-coditect-test"
    region              = "europe-west1"
    domain              = "api.example.com"
    repository_id       = "123456789"
    repository_owner_id = "12345678"
    runbook_url         = "https://example.com/docs/runbook.md"
    notify              = { page = ["on-call@example.com"], ticket = ["operations@example.com"] }
    identity            = { social = { "google.com" = "id", "github.com" = "id" } }

    images = { for name in ["validate", "acquire", "heartbeat", "release", "auth", "webhook-stripe", "billing", "sync-push", "sync-pull", "telemetry", "ops"] : name => "europe-west1-docker.pkg.dev/p/coditect/${name}:1" }
  }
  identity_client_secrets = { "google.com" = "secret", "github.com" = "secret" }
}

run "a_deployment" {
  command = plan

  assert {
    condition     = alltrue([for name, it in module.function : it.service == name])
    error_message = "A function without its service."
  }
  assert {
    condition     = length(distinct([for it in output.rights : it.service_account])) == length(output.rights)
    error_message = "Two functions share an account."
  }
  assert {
    condition = alltrue([for name, it in local.functions :
      contains(output.rights[name].secrets, "database-url-${name}")
      && contains(keys(module.postgres.role_passwords), "coditect_${replace(name, "-", "_")}")
      && strcontains(module.postgres.urls[replace(name, "-", "_")], "postgresql://coditect_${replace(name, "-", "_")}:")
      if contains(it.reads, "DATABASE_URL")
    ])
    error_message = "A function without its database role, or without its own password."
  }
  assert {
    condition     = alltrue([for name, it in local.functions : length(setsubtract(it.reads, output.rights[name].environment)) == 0])
    error_message = "A function is not given something that it reads."
  }
  assert {
    condition     = length(output.rights["telemetry"].secrets) == 0 && output.rights["telemetry"].role == null && !output.rights["telemetry"].signs
    error_message = "telemetry has a right, and needs none."
  }
  assert {
    condition     = toset([for name, it in output.rights : name if it.signs]) == toset(["validate", "acquire", "auth"])
    error_message = "Others than validate, acquire and auth may sign."
  }
  assert {
    condition     = alltrue([for name, it in local.functions : alltrue([for route in it.routes : length([for known, functions in module.edge[0].routes : known if functions == [name] && endswith(known, split(" ", route)[1])]) == 1])])
    error_message = "A route leads to no function, or to another."
  }
  assert {
    condition     = toset(keys(module.edge[0].endpoint_groups)) == toset(keys(local.functions))
    error_message = "A function without its endpoint group."
  }
  assert {
    condition     = alltrue([for name, it in output.rights : length(it.alarms) == 3])
    error_message = "A function without its alarms: two of errors, one of latency."
  }

  assert {
    condition     = alltrue([for secret, readers in module.secrets.readers : length(readers) == 1 if startswith(secret, "database-url-") && secret != "database-url-owner"])
    error_message = "A function's database password can be read by another."
  }
  assert {
    condition     = module.secrets.readers["database-url-owner"] == tolist(sort([for name, it in local.jobs : name if contains(it.reads, "DATABASE_URL")]))
    error_message = "The owner's password is for jobs alone."
  }
  assert {
    condition     = toset(module.secrets.readers["license-key-pepper"]) == toset(["validate", "auth", "webhook-stripe", "outbox", "stripe-retry"])
    error_message = "The pepper has other readers than docs/security.md says."
  }
  assert {
    condition     = toset(module.secrets.readers["stripe-webhook-secrets"]) == toset(["webhook-stripe"])
    error_message = "Only the webhook checks Stripe's signatures."
  }
  assert {
    condition     = !contains(flatten([for name, it in output.rights : it.secrets if startswith(name, "sync-")]), "redis-url")
    error_message = "Context sync has no business with seats."
  }
  assert {
    condition     = output.secrets_by_hand == tolist(["license-key-pepper", "smoke-license-key", "smtp-url", "stripe-api-key", "stripe-webhook-secrets"])
    error_message = "Other secrets have to be put in by hand than docs/deployment.md says."
  }

  assert {
    condition     = output.rights["webhook-stripe"].policy == "opaque"
    error_message = "Stripe's body would be looked at, and its events refused."
  }
  assert {
    condition     = toset([for name, it in output.rights : name if it.policy == "opaque"]) == toset(["webhook-stripe", "sync-push", "sync-pull"])
    error_message = "Other functions than those with somebody else's words go unguarded."
  }

  assert {
    condition     = module.edge[0].routes["POST /api/v1/context/tasks"] == ["sync-push"] && module.edge[0].routes["GET /api/v1/context/tasks"] == ["sync-pull"]
    error_message = "POST tasks is the pusher's, GET tasks the reader's."
  }
  assert {
    condition     = module.edge[0].routes["* /api/v1/licenses/acquire"] == ["acquire"]
    error_message = "A function answers wrong methods at its own path itself."
  }

  assert {
    condition     = length(output.locations) >= 40 && alltrue([for location in values(output.locations) : location == "europe-west1"])
    error_message = "Something is elsewhere, or is not asked where it is."
  }

  assert {
    condition     = output.discovery.issuer == "https://api.example.com" && toset(keys(output.discovery.functions)) == toset(keys(local.functions))
    error_message = "The discovery document lacks a function."
  }

  assert {
    condition     = alltrue([for text in values(module.monitoring[0].dashboards) : length(jsondecode(text).mosaicLayout.tiles) >= 6])
    error_message = "A dashboard can't be read."
  }
}

run "the_first_apply_needs_no_image" {
  command = plan
  variables {
    settings = merge(var.settings, { images = {} })
  }
  assert {
    condition     = length([for name, service in output.services : name if service != null]) == 0 && length(module.edge) == 0
    error_message = "Services before there are images."
  }
  assert {
    condition     = length(output.registry) > 0 && length(output.secrets_by_hand) == 5
    error_message = "The first apply makes the registry and the secrets."
  }
}

run "an_image_is_missing" {
  command = plan
  variables {
    settings = merge(var.settings, { images = { ops = "europe-west1-docker.pkg.dev/p/coditect/ops:1" } })
  }
  expect_failures = [var.settings]
}

run "eu_residency_refuses_america" {
  command = plan
  variables {
    settings = merge(var.settings, { region = "us-central1" })
  }
  expect_failures = [var.settings]
}

run "eu_residency_refuses_london" {
  command = plan
  variables {
    settings = merge(var.settings, { region = "europe-west2" })
  }
  expect_failures = [var.settings]
}

run "anywhere_is_anywhere" {
  command = plan
  variables {
    settings = merge(var.settings, { residency = "anywhere", region = "us-central1" })
  }
}
