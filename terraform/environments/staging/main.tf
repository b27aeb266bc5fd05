# Staging: the same as production, smaller, with nothing that stands by.

module "coditect" {
  source = "../../modules/deployment"

  environment = "staging"

  postgres = {
    tier             = "db-g1-small"
    highly_available = false
    max_connections  = 200
    backups_retained = 7
  }
  redis                 = { memory_gb = 1, replicas = 0 }
  kms                   = { protection_level = "SOFTWARE" }
  max_instances_default = 1
  uptime_period         = "900s"
  log_retention_days    = 14

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
