# The load balancer with Google mocked: what leads where, and what is looked at on the way.

mock_provider "google" {
  mock_resource "google_certificate_manager_dns_authorization" {
    defaults = {
      dns_resource_record = [{ name = "_acme-challenge.api.example.com.", type = "CNAME", data = "x.authorize.certificatemanager.goog." }]
    }
  }
}

variables {
  name             = "coditect"
  region           = "europe-west1"
  domain           = "api.example.com"
  default_function = "auth"
  functions = {
    auth           = { service = "auth", routes = ["GET /.well-known/coditect.json"], opaque_body = false }
    webhook-stripe = { service = "webhook-stripe", routes = ["POST /webhooks/stripe"], opaque_body = true }
    push           = { service = "push", routes = ["POST /tasks"], opaque_body = true }
    pull           = { service = "pull", routes = ["GET /tasks"], opaque_body = false }
  }
}

run "routes" {
  assert {
    condition = alltrue([for rule in google_compute_url_map.this.path_matcher[0].route_rules :
      alltrue([for match in rule.match_rules : contains([for route in local.routes : route.path if google_compute_backend_service.function[route.function].id == rule.service], trimsuffix(match.full_path_match, "/"))])
    ]) && length(google_compute_url_map.this.path_matcher[0].route_rules) == 4
    error_message = "A rule leads to another function's service."
  }
  assert {
    condition = alltrue([for rule in google_compute_url_map.this.path_matcher[0].route_rules :
      length(rule.match_rules[0].header_matches) == (rule.match_rules[0].full_path_match == "/tasks" ? 1 : 0)
    ])
    error_message = "The method counts where a path is shared, and only there."
  }
  assert {
    condition     = alltrue([for name, group in google_compute_region_network_endpoint_group.function : group.cloud_run[0].service == name])
    error_message = "An endpoint group of another service."
  }
}

run "policies" {
  assert {
    condition     = google_compute_backend_service.function["webhook-stripe"].security_policy == google_compute_security_policy.opaque.id
    error_message = "Stripe's events would meet the OWASP signatures."
  }
  assert {
    condition     = alltrue([for rule in google_compute_security_policy.opaque.rule : length([for match in rule.match : match if length(match.expr) > 0]) == 0])
    error_message = "The policy in front of Stripe's events looks into them."
  }
  assert {
    condition     = google_compute_backend_service.function["auth"].security_policy == google_compute_security_policy.guarded.id
    error_message = "A function without the OWASP signatures."
  }
  assert {
    condition     = length([for rule in google_compute_security_policy.guarded.rule : rule if rule.action == "deny(403)"]) == 9
    error_message = "An OWASP rule is missing."
  }
  assert {
    condition     = alltrue([for policy in [google_compute_security_policy.guarded, google_compute_security_policy.opaque] : length([for rule in policy.rule : rule if rule.action == "throttle"]) == 1])
    error_message = "A policy without a rate limit."
  }
}

run "transport" {
  assert {
    condition     = google_compute_ssl_policy.this.min_tls_version == "TLS_1_2" && google_compute_url_map.redirect.default_url_redirect[0].https_redirect
    error_message = "Plain HTTP, or an old TLS."
  }
}

run "a_path_twice" {
  command = plan
  variables {
    functions = {
      auth  = { service = "auth", routes = ["GET /x"], opaque_body = false }
      other = { service = "other", routes = ["GET /x"], opaque_body = false }
    }
  }
  expect_failures = [var.functions]
}
