output "discovery" {
  description = "What GET /.well-known/coditect.json answers: who runs this and where each function is."
  value = merge(var.settings.register_url == "" ? {} : { register_url = var.settings.register_url }, {
    issuer    = local.url
    functions = { for name in keys(local.functions) : name => local.url }
    jwks_uri  = "${local.url}/.well-known/jwks.json"
  })
}

output "dns_records" {
  description = "Records to be made: the certificate's proof, and once there are images the way in."
  value = local.serving ? {
    address     = { name = "${var.settings.domain}.", type = "A", data = module.edge[0].address }
    certificate = { name = module.edge[0].certificate_record.name, type = module.edge[0].certificate_record.type, data = module.edge[0].certificate_record.data }
  } : {}
}

output "stripe_webhook" {
  description = "The endpoint to tell Stripe."
  value       = "${local.url}/webhooks/stripe"
}

output "registry" {
  description = "What image names begin with."
  value       = module.artifacts.registry
}

output "secrets_by_hand" {
  description = "Secrets that need a value before there can be images."
  value       = module.secrets.by_hand
}

output "services" {
  description = "Function → its Cloud Run service."
  value       = { for name, it in module.function : name => it.service }
}

output "jobs" {
  description = "Jobs of ops."
  value       = { for name, it in module.job : name => it.job }
}

output "workload_identity" {
  description = "What the workflows need to become the deployer."
  value       = { provider = module.cicd.provider, service_account = module.cicd.deployer }
}

output "signing_key" {
  description = "SIGNING_KEY of those who sign."
  value       = module.kms.signing_key
}

output "runbook_sections" {
  description = "Sections of docs/runbook.md that alarms link to."
  value       = try(module.monitoring[0].runbook_sections, [])
}

output "settings" {
  description = "Names of the settings that there are."
  value       = keys(var.settings)
}

output "locations" {
  description = "Everything that has a region, and its region."
  value       = local.locations

  precondition {
    condition     = alltrue([for location in values(local.locations) : location == var.settings.region])
    error_message = "Something would be outside ${var.settings.region}: ${join(", ", [for name, location in local.locations : "${name} in ${location}" if location != var.settings.region])}."
  }
}

locals {
  locations = merge(
    { "subnet" = module.network.location, "Redis" = module.redis.location, "keys" = module.kms.location, "images" = module.artifacts.location },
    module.postgres.locations,
    module.secrets.locations,
    { for name, it in module.function : "service ${name}" => it.location if it.location != null },
    { for name, it in module.job : "job ${name}" => it.location if it.location != null },
    { for it in module.monitoring : "logs" => it.location },
    { for name, region in try(module.edge[0].endpoint_groups, {}) : "endpoint ${name}" => region },
  )
}

# Rights and settings of each function, for tests and operators.
output "rights" {
  description = "Function → its account, environment, database role, secrets, routes and alarms."
  value = { for name, it in local.functions : name => {
    service_account = google_service_account.function[name].account_id
    environment     = module.function[name].reads
    role            = contains(it.reads, "DATABASE_URL") ? "coditect_${replace(name, "-", "_")}" : null
    signs           = contains(module.kms.signers, name)
    secrets         = sort([for secret, readers in module.secrets.readers : secret if contains(readers, name)])
    routes          = it.routes
    policy          = try(module.edge[0].policies[name], null)
    alarms          = try(module.monitoring[0].alerts[name], [])
  } }
}
