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

  settings                = var.settings
  identity_client_secrets = var.identity_client_secrets
}
