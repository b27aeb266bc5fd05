# Logs hold addresses and ids of people's tenants, so they stay in the deployment's region and go after a time.

locals {
  ours = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_job\" OR \"cloudsql_database\" OR \"http_load_balancer\" OR \"cloud_scheduler_job\")"
}

resource "google_logging_project_bucket_config" "this" {
  project          = var.project_id
  location         = var.region
  bucket_id        = "coditect"
  retention_days   = var.log_retention_days
  enable_analytics = false
}

resource "google_logging_project_sink" "regional" {
  name                   = "coditect-regional"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.this.id}"
  filter                 = local.ours
  unique_writer_identity = true
}

# The project's default bucket is nowhere in particular. Metrics count what is excluded here all the same.
resource "google_logging_project_exclusion" "default" {
  name       = "coditect-regional"
  filter     = local.ours
  depends_on = [google_logging_project_sink.regional]
}
