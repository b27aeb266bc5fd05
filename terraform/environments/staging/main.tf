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

  settings                = var.settings
  identity_client_secrets = var.identity_client_secrets
}
