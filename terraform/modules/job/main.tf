# A command of `ops` as a Cloud Run job, by hand or by the clock.

resource "google_cloud_run_v2_job" "this" {
  count = var.image == null ? 0 : 1

  name                = var.name
  location            = var.region
  deletion_protection = false
  labels              = merge(var.labels, { job = var.name })

  template {
    task_count  = 1
    parallelism = 1
    labels      = merge(var.labels, { job = var.name })

    template {
      service_account = var.service_account
      timeout         = var.timeout
      max_retries     = var.retries

      vpc_access {
        # Jobs that call functions have to come from the network; the others reach Google over the internet.
        egress = contains(var.tags, "google") ? "ALL_TRAFFIC" : "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = var.network_id
          subnetwork = var.subnetwork_id
          tags       = var.tags
        }
      }

      containers {
        image = var.image
        args  = var.arguments

        resources {
          limits = { cpu = "1", memory = "512Mi" }
        }

        dynamic "env" {
          for_each = var.settings
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = var.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value.secret
                version = env.value.version
              }
            }
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version, template[0].template[0].containers[0].image]
  }
}

locals {
  scheduled = var.schedule != null && var.image != null
}

resource "google_service_account" "scheduler" {
  count = var.schedule == null ? 0 : 1

  account_id   = "run-${var.name}"
  display_name = "Starts the job ${var.name}"
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  count = local.scheduled ? 1 : 0

  name     = google_cloud_run_v2_job.this[0].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.scheduler[0].email}"
}

resource "google_cloud_scheduler_job" "this" {
  count = local.scheduled ? 1 : 0

  name             = var.name
  region           = var.region
  schedule         = var.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s"

  retry_config {
    retry_count = 1
  }

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.this[0].id}:run"
    oauth_token {
      service_account_email = google_service_account.scheduler[0].email
    }
  }
}
