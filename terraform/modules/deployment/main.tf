# A whole deployment: staging and production are two of these, with different variables.

locals {
  name   = "coditect"
  labels = { product = "coditect", environment = var.environment }
  url    = "https://${var.settings.domain}"
  # Before there are images there is all that they need: the first of two applies.
  serving = length(var.settings.images) > 0

  max_instances = { for name, it in local.functions : name => lookup(var.max_instances, name, min(it.max_instances, var.max_instances_default)) }
  connections   = sum([for name, it in local.functions : contains(it.reads, "DATABASE_URL") ? local.max_instances[name] * local.pool_size : 0])
}

resource "google_project_service" "this" {
  for_each = toset([
    "artifactregistry", "billingbudgets", "certificatemanager", "cloudkms", "cloudscheduler", "compute", "iam", "iamcredentials",
    "identitytoolkit", "logging", "monitoring", "redis", "run", "secretmanager", "servicenetworking", "sqladmin", "sts",
  ])

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

data "google_project" "this" {
  project_id = var.settings.project_id
}

module "network" {
  source = "../network"

  name           = local.name
  region         = var.settings.region
  functions_cidr = var.functions_cidr
  services_cidr  = var.services_cidr
  depends_on     = [google_project_service.this]
}

module "postgres" {
  source = "../postgres"

  name                = var.postgres.name
  region              = var.settings.region
  network_id          = module.network.services_network_id
  tier                = var.postgres.tier
  highly_available    = var.postgres.highly_available
  max_connections     = var.postgres.max_connections
  disk_gb             = var.postgres.disk_gb
  backups_retained    = var.postgres.backups_retained
  password_generation = var.password_generation
  connections_needed  = local.connections
  roles               = local.roles
  deletion_protection = var.settings.deletion_protection
  labels              = local.labels
}

module "redis" {
  source = "../redis"

  name       = local.name
  region     = var.settings.region
  network_id = module.network.services_network_id
  memory_gb  = var.redis.memory_gb
  replicas   = var.redis.replicas
  labels     = local.labels
}

module "kms" {
  source = "../kms"

  name              = local.name
  region            = var.settings.region
  protection_level  = var.kms.protection_level
  versions          = var.kms.versions
  current_version   = var.kms.current_version
  disabled_versions = var.kms.disabled_versions
  signers           = { for name, it in local.functions : name => google_service_account.function[name].email if contains(it.reads, "SIGNING_KEY") }
  labels            = local.labels
  depends_on        = [google_project_service.this]
}

module "identity" {
  source = "../identity"
  count  = var.settings.identity == null ? 0 : 1

  project_id     = var.settings.project_id
  domains        = concat([var.settings.domain], try(var.settings.identity.domains, []))
  social         = try(var.settings.identity.social, {})
  openid         = try(var.settings.identity.openid, {})
  client_secrets = var.identity_client_secrets
  depends_on     = [google_project_service.this]
}

module "function" {
  source   = "../function"
  for_each = local.functions

  name                = each.key
  region              = var.settings.region
  service_account     = google_service_account.function[each.key].email
  image               = lookup(var.settings.images, each.key, null)
  memory              = "${local.memory_mib.instance}Mi"
  concurrency         = local.concurrency[each.key]
  min_instances       = lookup(var.min_instances, each.key, 0)
  max_instances       = local.max_instances[each.key]
  network_id          = module.network.network_id
  subnetwork_id       = module.network.subnetwork_id
  tags                = [for tag, variable in local.tags : tag if contains(each.value.reads, variable)]
  settings            = { for name in concat(each.value.reads, local.everywhere) : name => local.settings[name] if contains(keys(local.settings), name) }
  secrets             = { for name in each.value.reads : name => local.secret_of["${each.key} ${name}"] if contains(keys(local.secret_of), "${each.key} ${name}") }
  deletion_protection = var.settings.deletion_protection
  labels              = local.labels
}

module "job" {
  source   = "../job"
  for_each = local.jobs

  name            = each.key
  region          = var.settings.region
  service_account = google_service_account.job[each.key].email
  image           = lookup(var.settings.images, "ops", null)
  arguments       = each.value.arguments
  schedule        = try(each.value.schedule, null)
  timeout         = try(each.value.timeout, "300s")
  network_id      = module.network.network_id
  subnetwork_id   = module.network.subnetwork_id
  tags            = concat([for tag, variable in local.tags : tag if contains(each.value.reads, variable)], try(each.value.tags, []))
  settings        = { for name in concat(each.value.reads, local.everywhere) : name => local.settings[name] if contains(keys(local.settings), name) }
  secrets         = { for name in each.value.reads : name => local.secret_of["${each.key} ${name}"] if contains(keys(local.secret_of), "${each.key} ${name}") }
  labels          = local.labels
}

module "edge" {
  source = "../edge"
  count  = local.serving ? 1 : 0

  name                = local.name
  region              = var.settings.region
  domain              = var.settings.domain
  default_function    = "auth"
  requests_per_minute = var.requests_per_minute
  signatures_preview  = var.signatures_preview
  functions           = { for name, it in local.functions : name => { service = module.function[name].service, routes = it.routes, opaque_body = try(it.opaque_body, false) } }
  labels              = local.labels
}

module "artifacts" {
  source = "../artifacts"

  name       = local.name
  region     = var.settings.region
  labels     = local.labels
  depends_on = [google_project_service.this]
}

module "cicd" {
  source = "../cicd"

  project_id          = var.settings.project_id
  repository_id       = var.settings.repository_id
  repository_owner_id = var.settings.repository_owner_id
  environment         = var.environment
  region              = var.settings.region
  artifact_repository = module.artifacts.repository
  services            = { for name, it in module.function : name => it.service if it.service != null }
  jobs                = { for name, it in module.job : name => it.job if it.job != null }
  accounts            = merge({ for name, it in google_service_account.function : name => it.name }, { for name, it in google_service_account.job : "job ${name}" => it.name })
  depends_on          = [google_project_service.this]
}

module "monitoring" {
  source = "../monitoring"
  count  = local.serving ? 1 : 0

  project_id         = var.settings.project_id
  region             = var.settings.region
  domain             = var.settings.domain
  functions          = { for name, it in local.functions : name => { latency_ms = it.latency_ms } }
  hourly_jobs        = [for name, it in local.jobs : name if try(split(" ", it.schedule)[1], "") == "*"]
  notify             = var.settings.notify
  runbook_url        = var.settings.runbook_url
  postgres_instance  = module.postgres.instance
  max_connections    = var.postgres.max_connections
  redis_instance     = module.redis.instance_id
  url_map            = module.edge[0].url_map
  log_retention_days = var.log_retention_days
  uptime_period      = var.uptime_period
}

module "budget" {
  source = "../budget"
  count  = var.settings.budget == null ? 0 : 1

  name            = "CODITECT ${var.environment}"
  billing_account = var.settings.budget.billing_account
  project_number  = data.google_project.this.number
  monthly_amount  = var.settings.budget.monthly_amount
  currency        = var.settings.budget.currency
  channels        = try(module.monitoring[0].channels, [])
  depends_on      = [google_project_service.this]
}
