# Memorystore for Redis: the seats' counters. Private, with TLS and a password.

resource "google_redis_instance" "this" {
  name           = var.name
  region         = var.region
  display_name   = "Seats"
  redis_version  = "REDIS_7_2"
  tier           = var.replicas > 0 ? "STANDARD_HA" : "BASIC"
  memory_size_gb = var.memory_gb
  replica_count  = var.replicas > 0 ? var.replicas : null
  # More than one replica is only to be had with reading from them, which nothing does.
  read_replicas_mode = var.replicas > 1 ? "READ_REPLICAS_ENABLED" : "READ_REPLICAS_DISABLED"

  authorized_network      = var.network_id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"

  # A seat that is forgotten for want of room would be sold twice; a write that is refused is answered 503.
  redis_configs = { "maxmemory-policy" = "noeviction" }

  # Never brought back from a snapshot: an empty Redis is restored from Postgres, a stale one would answer from the past.
  persistence_config {
    persistence_mode = "DISABLED"
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = "SUNDAY"
      start_time {
        hours   = 4
        minutes = 0
      }
    }
  }

  labels = var.labels
}
