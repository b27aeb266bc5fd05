# The environment as it is written, with the example's variables and Google mocked.

mock_provider "google" {
  source          = "../../modules/deployment/tests/mocks"
  override_during = plan
}
mock_provider "random" {
  source          = "../../modules/deployment/tests/passwords"
  override_during = plan
}

variables {
  settings = {
    project_id          = "example-coditect"
    region              = "europe-west1"
    domain              = "api.example.com"
    repository_id       = "123456789"
    repository_owner_id = "12345678"
    runbook_url         = "https://example.com/docs/runbook.md"
    notify              = { page = ["on-call@example.com"], ticket = ["operations@example.com"] }
    budget              = { billing_account = "012345-6789AB-CDEF01", monthly_amount = 150, currency = "EUR" }

    images = { for name in ["validate", "acquire", "heartbeat", "release", "auth", "webhook-stripe", "billing", "sync-push", "sync-pull", "telemetry", "ops"] : name => "europe-west1-docker.pkg.dev/p/coditect/${name}:1" }
  }
}

run "first_apply" {
  command = plan

  variables {
    settings = merge(var.settings, { images = {} })
  }
  assert {
    condition     = alltrue([for service in values(output.coditect.services) : service == null])
    error_message = "Services before there are images."
  }
}

run "a_misspelled_setting" {
  command = plan

  variables {
    settings = merge(var.settings, { deletion_protecton = false })
  }
  expect_failures = [output.coditect]
}

run "second_apply" {
  command = plan

  assert {
    condition     = alltrue([for name, service in output.coditect.services : service == name])
    error_message = "A function without its service."
  }
  assert {
    condition     = alltrue([for location in values(output.coditect.locations) : location == var.settings.region])
    error_message = "Something is outside the region."
  }
  assert {
    condition     = startswith(output.coditect.signing_key, "kms:projects/")
    error_message = "SIGNING_KEY names no key version."
  }
}
