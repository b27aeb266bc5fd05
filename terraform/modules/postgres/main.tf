# Cloud SQL for PostgreSQL 16, reachable by private address and TLS alone.

resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_6:Connections are encrypted and both sides authenticate: the server by its certificate, the role by SCRAM. Client certificates would be one more secret for each function.
  #checkov:skip=CKV_GCP_79:16 is what migrations and tests run on; a major version is changed on purpose.
  #checkov:skip=CKV_GCP_108:There is nothing to look names up for: all clients are instances in one private subnet.
  #checkov:skip=CKV2_GCP_13:The time of every statement is in Query Insights, aggregated; in the log it would be most of it.
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = var.deletion_protection

  settings {
    tier                        = var.tier
    edition                     = "ENTERPRISE"
    availability_type           = var.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.disk_gb
    disk_autoresize             = true
    disk_autoresize_limit       = var.disk_limit_gb
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = true
    user_labels                 = var.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network_id
      ssl_mode        = "ENCRYPTED_ONLY"
      # Certificates that name the host, so that clients can check more than the authority.
      server_ca_mode = "GOOGLE_MANAGED_CAS_CA"
    }

    backup_configuration {
      enabled                        = true
      location                       = var.region
      start_time                     = "02:00"
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = var.point_in_time_days

      backup_retention_settings {
        retention_unit   = "COUNT"
        retained_backups = var.backups_retained
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 1024
      record_application_tags = true
      record_client_address   = false
    }

    database_flags {
      name  = "max_connections"
      value = var.max_connections
    }
    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }
    database_flags {
      name  = "pgaudit.log"
      value = "ddl,role"
    }
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_disconnections"
      value = "on"
    }
    database_flags {
      name  = "log_duration"
      value = "off"
    }
    # Without DETAIL, which quotes the row that an error is about, addresses and all. Parameters are not logged, because
    # neither durations nor statements other than DDL are.
    database_flags {
      name  = "log_error_verbosity"
      value = "terse"
    }
    database_flags {
      name  = "log_hostname"
      value = "off"
    }
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }
    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }
    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }
    database_flags {
      name  = "log_min_messages"
      value = "warning"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
    database_flags {
      name  = "log_temp_files"
      value = "0"
    }
  }

  lifecycle {
    # Storage grows by itself and never shrinks.
    ignore_changes = [settings[0].disk_size]

    precondition {
      condition     = var.connections_needed <= var.max_connections - local.reserved
      error_message = "All functions at their most take ${var.connections_needed} connections; max_connections ${var.max_connections} leaves ${var.max_connections - local.reserved}. Lower max_instances or raise max_connections (and with it the tier)."
    }
  }
}

locals {
  # The owner's jobs, Google's own agents, and an operator who has to look.
  reserved = 20

  host = trimsuffix(try(
    [for name in google_sql_database_instance.this.dns_names : name.name if name.connection_type == "PRIVATE_SERVICES_ACCESS"][0],
    google_sql_database_instance.this.dns_name,
  ), ".")
  # The name is for the certificate; the address saves a zone of our own to look it up in.
  where = "${local.host}:5432/${google_sql_database.this.name}?hostaddr=${google_sql_database_instance.this.private_ip_address}&sslmode=require"
  urls  = { for role, password in random_password.role : role => "postgresql://coditect_${role}:${password.result}@${local.where}" }
}

resource "google_sql_database" "this" {
  name            = "coditect"
  instance        = google_sql_database_instance.this.name
  charset         = "UTF8"
  collation       = "en_US.UTF8"
  deletion_policy = "ABANDON"
}

# Letters and digits alone, because they go into URLs.
resource "random_password" "role" {
  for_each = setunion(var.roles, ["owner"])

  length  = 40
  special = false
  keepers = { generation = var.password_generation }
}

# The owner migrates and operates. Users made by Cloud SQL may create roles and databases and own this one, so that the
# functions' roles, which may not, are made by the migrations; `ops roles` gives them their passwords.
resource "google_sql_user" "owner" {
  name            = "coditect_owner"
  instance        = google_sql_database_instance.this.name
  password        = random_password.role["owner"].result
  deletion_policy = "ABANDON"
}
