# One function: a Cloud Run service with an account of its own, which only the load balancer reaches.

resource "google_cloud_run_v2_service" "this" {
  count = var.image == null ? 0 : 1

  name                 = var.name
  location             = var.region
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  deletion_protection  = var.deletion_protection
  invoker_iam_disabled = true
  labels               = merge(var.labels, { function = var.name })

  scaling {
    min_instance_count = var.min_instances
  }

  template {
    service_account                  = var.service_account
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN1"
    max_instance_request_concurrency = var.concurrency
    # Longer than a function gives itself, so that its own answer is the one that is heard.
    timeout = "15s"
    labels  = merge(var.labels, { function = var.name })

    scaling {
      max_instance_count = var.max_instances
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = var.network_id
        subnetwork = var.subnetwork_id
        tags       = var.tags
      }
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # The network may take its time when an instance starts; until Postgres and Redis answer, it gets no requests.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 120
        http_get {
          path = "/ready"
        }
      }

      # Of the process alone: a database that is away is no reason to start the function again.
      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 2
        failure_threshold = 3
        http_get {
          path = "/health"
        }
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

  lifecycle {
    # scripts/deploy chooses image and traffic: revisions without traffic, canaries, rollbacks.
    ignore_changes = [client, client_version, traffic, template[0].containers[0].image, template[0].revision]
  }
}
