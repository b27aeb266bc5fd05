# The table that everything else follows: a function's service, its account, its database role, its secrets, its place behind
# the load balancer and its alarms.
#
# `reads` is what docs/configuration.md says that the function reads, and with it its rights: who reads DATABASE_URL has a
# database role, who reads SIGNING_KEY may sign. testing/terraform/check compares both, and the paths with the README.

locals {
  functions = {
    validate = {
      routes        = ["POST /api/v1/licenses/validate", "POST /api/v1/licenses/deactivate"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "SIGNING_KEY", "PUBLIC_URL", "LICENSE_KEY_PEPPER"]
      max_instances = 4
      latency_ms    = 500
    }
    acquire = {
      routes        = ["POST /api/v1/licenses/acquire"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "SIGNING_KEY", "PUBLIC_URL", "OIDC_ISSUERS", "SEAT_TTL_SECONDS", "HEARTBEAT_INTERVAL_SECONDS", "LICENSE_TOKEN_TTL_SECONDS"]
      max_instances = 4
      latency_ms    = 500
    }
    heartbeat = {
      routes        = ["POST /api/v1/licenses/heartbeat"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "PUBLIC_URL", "OIDC_ISSUERS", "SEAT_TTL_SECONDS", "HEARTBEAT_INTERVAL_SECONDS"]
      max_instances = 3
      latency_ms    = 250
    }
    release = {
      routes        = ["POST /api/v1/licenses/release"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "PUBLIC_URL", "OIDC_ISSUERS", "SEAT_TTL_SECONDS"]
      max_instances = 2
      latency_ms    = 250
    }
    auth = {
      routes        = ["POST /api/v1/auth/license", "POST /api/v1/auth/claim", "GET /api/v1/public-key", "GET /.well-known/jwks.json", "GET /.well-known/coditect.json"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "SIGNING_KEY", "PUBLIC_URL", "LICENSE_KEY_PEPPER", "OIDC_ISSUERS", "FUNCTION_URLS", "REGISTER_URL"]
      max_instances = 2
      latency_ms    = 500
    }
    webhook-stripe = {
      routes        = ["POST /webhooks/stripe"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "LICENSE_KEY_PEPPER", "SEAT_TTL_SECONDS", "STRIPE_WEBHOOK_SECRETS", "STRIPE_API_KEY"]
      max_instances = 2
      latency_ms    = 5000
      # Stripe signs its bytes; Cloud Armor's rules must not touch them.
      opaque_body = true
      budgets     = ["bodies"]
    }
    billing = {
      routes        = ["POST /api/v1/billing/checkout", "POST /api/v1/billing/portal"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "PUBLIC_URL", "OIDC_ISSUERS", "STRIPE_API_KEY"]
      max_instances = 1
      latency_ms    = 5000
    }
    sync-push = {
      routes        = ["POST /api/v1/context/push", "POST /api/v1/context/tasks"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "PUBLIC_URL", "OIDC_ISSUERS"]
      max_instances = 4
      latency_ms    = 1000
      # Developers' notes, compressed, and with any code in them.
      opaque_body = true
      budgets     = ["bodies", "work"]
    }
    sync-pull = {
      routes        = ["GET /api/v1/context/pull", "GET /api/v1/context/status", "GET /api/v1/context/tasks", "GET /api/v1/context/decisions", "GET /api/v1/context/learnings", "GET /api/v1/context/history"]
      reads         = ["DATABASE_URL", "CA_CERTIFICATES", "PUBLIC_URL", "OIDC_ISSUERS"]
      max_instances = 4
      latency_ms    = 1000
      opaque_body   = true
      budgets       = ["work"]
    }
    # Authenticates no caller and stores nothing: it has no rights, and its log lines are its effect.
    telemetry = {
      routes        = ["POST /api/v1/telemetry"]
      reads         = []
      max_instances = 2
      latency_ms    = 500
    }
  }

  # Commands of `ops` that run by the clock, or at a deployment.
  jobs = {
    migrate = {
      arguments = ["migrate"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES"]
      timeout   = "1800s"
    }
    roles = {
      arguments = ["roles"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES", "ROLE_PASSWORDS"]
    }
    # Checks a revision that has no traffic yet; scripts/deploy names it.
    smoke = {
      arguments = ["smoke", "FUNCTION", "URL"]
      reads     = ["SMOKE_LICENSE_KEY"]
      tags      = ["google"]
    }
    outbox = {
      arguments = ["outbox", "deliver"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "LICENSE_KEY_PEPPER", "SMTP_URL", "MAIL_FROM"]
      schedule  = var.outbox_schedule
    }
    stripe-retry = {
      arguments = ["stripe", "retry"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS", "LICENSE_KEY_PEPPER", "STRIPE_API_KEY"]
      schedule  = "*/10 * * * *"
    }
    seat-usage = {
      arguments = ["seat", "usage"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES", "REDIS_URL", "REDIS_REPLICAS"]
      schedule  = "*/30 * * * *"
    }
    sweep = {
      arguments = ["sweep"]
      reads     = ["DATABASE_URL", "CA_CERTIFICATES"]
      schedule  = "17 3 * * *"
    }
  }

  # POOL_SIZE in common/src/postgres.rs: connections that an instance opens at most.
  pool_size = 16

  # Mebibytes: an instance has so many, a process takes so many before its first request, and a request at most so many beside
  # the budgets of common/src/memory.rs, which its row names. As many requests at once as fit into the rest.
  memory_mib  = { instance = 256, process = 40, request = 1, bodies = 32, work = 96 }
  budget_mib  = { for name, it in local.functions : name => sum(concat([0], [for budget in try(it.budgets, []) : local.memory_mib[budget]])) }
  concurrency = { for name, it in local.functions : name => min(80, floor((local.memory_mib.instance - local.memory_mib.process - local.budget_mib[name]) / local.memory_mib.request)) }

  # Read by all of them.
  everywhere = ["TRUSTED_PROXY_HOPS", "RUST_LOG", "LOG_FORMAT", "GOOGLE_CLOUD_PROJECT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"]
}
