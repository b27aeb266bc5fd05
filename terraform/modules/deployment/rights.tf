# From what a function reads to what it is given.

# Each function has an account of its own, so that a right granted to one is granted to no other.
resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = "fn-${each.key}"
  display_name = "Function ${each.key}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "job" {
  for_each = local.jobs

  account_id   = "job-${each.key}"
  display_name = "Job ${each.key}"
  depends_on   = [google_project_service.this]
}

locals {
  # Database roles, as the migrations name them without their prefix.
  roles = toset([for name, it in local.functions : replace(name, "-", "_") if contains(it.reads, "DATABASE_URL")])

  # Addresses in the network that a function may reach, by the variable that names them.
  tags = { postgres = "DATABASE_URL", redis = "REDIS_URL" }

  # Variables that are no secrets.
  settings = {
    REDIS_REPLICAS             = tostring(var.redis.confirmed ? module.redis.replicas : 0)
    SIGNING_KEY                = module.kms.signing_key
    PUBLIC_URL                 = local.url
    OIDC_ISSUERS               = jsonencode(concat(module.identity[*].issuer, var.settings.oidc_issuers))
    SEAT_TTL_SECONDS           = "360"
    HEARTBEAT_INTERVAL_SECONDS = "300"
    LICENSE_TOKEN_TTL_SECONDS  = "86400"
    FUNCTION_URLS              = jsonencode({ for name in keys(local.functions) : name => local.url })
    REGISTER_URL               = var.settings.register_url
    MAIL_FROM                  = var.settings.mail_from
    # The load balancer appends the caller's address and its own.
    TRUSTED_PROXY_HOPS = "2"
    RUST_LOG           = "info"
    LOG_FORMAT         = "json"
    # Empty is unset: no collector, no spans.
    GOOGLE_CLOUD_PROJECT        = var.settings.project_id
    OTEL_EXPORTER_OTLP_ENDPOINT = var.settings.traces.collector
    OTEL_TRACES_SAMPLER_ARG     = tostring(var.settings.traces.share)
    # Neither Cloud SQL's nor Memorystore's certificates are of an authority that the web knows.
    CA_CERTIFICATES = "${module.postgres.certificate_authority}\n${module.redis.certificate_authorities}"
  }

  # Secrets that everybody who reads them shares; DATABASE_URL is each one's own.
  shared = {
    REDIS_URL              = "redis-url"
    LICENSE_KEY_PEPPER     = "license-key-pepper"
    STRIPE_WEBHOOK_SECRETS = "stripe-webhook-secrets"
    STRIPE_API_KEY         = "stripe-api-key"
    SMTP_URL               = "smtp-url"
    ROLE_PASSWORDS         = "role-passwords"
    SMOKE_LICENSE_KEY      = "smoke-license-key"
  }

  everybody = merge(
    { for name, it in local.functions : name => { reads = it.reads, account = google_service_account.function[name].email, database = "database-url-${name}" } },
    { for name, it in local.jobs : name => { reads = it.reads, account = google_service_account.job[name].email, database = "database-url-owner" } },
  )

  # Readers of each secret: "validate DATABASE_URL" → its name.
  secret_names = merge([
    for name, it in local.everybody : {
      for variable in it.reads : "${name} ${variable}" => variable == "DATABASE_URL" ? it.database : local.shared[variable]
      if variable == "DATABASE_URL" || contains(keys(local.shared), variable)
    }
  ]...)
  secret_readers = {
    for secret in distinct(values(local.secret_names)) : secret => {
      for name, it in local.everybody : name => it.account
      if contains([for key, of in local.secret_names : of if startswith(key, "${name} ")], secret)
    }
  }
  secret_of = { for key, secret in local.secret_names : key => { secret = module.secrets.ids[secret], version = lookup(var.settings.secret_versions, secret, "latest") } }
}

module "secrets" {
  source = "../secrets"

  region  = var.settings.region
  readers = local.secret_readers
  made    = setunion(["redis-url", "role-passwords", "database-url-owner"], [for role in local.roles : "database-url-${replace(role, "_", "-")}"])
  values = merge(
    { "redis-url" = module.redis.url, "role-passwords" = jsonencode(module.postgres.role_passwords) },
    { for role, url in module.postgres.urls : "database-url-${replace(role, "_", "-")}" => url },
  )
  labels     = local.labels
  depends_on = [google_project_service.this]
}
