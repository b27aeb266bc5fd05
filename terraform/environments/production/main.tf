# Production: a second zone stands by for Postgres and Redis, and the signing key is in hardware.

module "coditect" {
  source = "../../modules/deployment"

  environment = "production"

  postgres = {
    tier             = "db-custom-2-8192"
    highly_available = true
    max_connections  = 500
    backups_retained = 30
  }
  redis              = { memory_gb = 1, replicas = 1 }
  kms                = { protection_level = "HSM" }
  uptime_period      = "60s"
  log_retention_days = 30

  project_id              = var.project_id
  region                  = var.region
  residency               = var.residency
  domain                  = var.domain
  images                  = var.images
  repository_id           = var.repository_id
  repository_owner_id     = var.repository_owner_id
  notify                  = var.notify
  runbook_url             = var.runbook_url
  mail_from               = var.mail_from
  identity                = var.identity
  identity_client_secrets = var.identity_client_secrets
  oidc_issuers            = var.oidc_issuers
  register_url            = var.register_url
  traces                  = var.traces
  budget                  = var.budget
  secret_versions         = var.secret_versions
  deletion_protection     = var.deletion_protection
}
