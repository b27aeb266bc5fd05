# Alerts that page, alerts that can wait until tomorrow, and the section of the runbook for each.

locals {
  channels = { for severity, addresses in var.notify : severity => [for address in addresses : google_monitoring_notification_channel.email[address].id] }

  revision = "resource.type=\"cloud_run_revision\""
  job      = "resource.type=\"cloud_run_job\""
  database = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project_id}:${var.postgres_instance}\""
  redis    = "resource.type=\"redis_instance\" AND resource.labels.instance_id=\"${var.redis_instance}\""

  # aligner and reducer make one number of a window of so many seconds; above `over` for `lasting` seconds it is an alarm.
  alerts = {
    "mistake of ours"              = { section = "a-mistake-of-ours", severity = "page", filter = "metric.type=\"${local.prefix}/errors\" AND ${local.revision}", window = 300, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 5, lasting = 0 }
    "dependency down"              = { section = "a-dependency-is-down", severity = "page", filter = "metric.type=\"${local.prefix}/not_ready\" AND ${local.revision}", window = 60, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 3, lasting = 120 }
    "sessions restored"            = { section = "redis-was-lost", severity = "ticket", filter = "metric.type=\"${local.prefix}/seats_restored\" AND ${local.revision}", window = 300, aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", over = 1, lasting = 0 }
    "Stripe's events late"         = { section = "stripes-events-are-late", severity = "ticket", filter = "metric.type=\"${local.prefix}/webhook_lag\" AND ${local.revision}", window = 900, aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", over = 600, lasting = 0 }
    "Stripe's events failed"       = { section = "stripes-events-fail", severity = "ticket", filter = "metric.type=\"${local.prefix}/stripe_events\" AND ${local.revision} AND metric.labels.outcome=\"failed\"", window = 900, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 0, lasting = 0 }
    "mail waits"                   = { section = "mail-waits", severity = "ticket", filter = "metric.type=\"${local.prefix}/outbox_oldest\" AND ${local.job}", window = 300, aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", over = 3600, lasting = 600 }
    "mail given up"                = { section = "mail-was-given-up", severity = "ticket", filter = "metric.type=\"${local.prefix}/outbox_age\" AND ${local.job} AND metric.labels.outcome=\"given_up\"", window = 900, aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", over = 0, lasting = 0 }
    "signatures slow"              = { section = "kms-is-slow-or-away", severity = "ticket", filter = "metric.type=\"${local.prefix}/signature\" AND ${local.revision}", window = 300, aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", over = 0.5, lasting = 600 }
    "signatures failed"            = { section = "kms-is-slow-or-away", severity = "page", filter = "metric.type=\"${local.prefix}/signatures_failed\" AND ${local.revision} AND metric.labels.outcome=\"failed\"", window = 300, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 3, lasting = 0 }
    "keys guessed"                 = { section = "keys-are-guessed", severity = "ticket", filter = "metric.type=\"${local.prefix}/access_refused\" AND ${local.revision} AND metric.labels.code=monitoring.regex.full_match(\"rate_limited|invalid_license_key\")", window = 300, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 500, lasting = 0 }
    "job failed"                   = { section = "a-job-failed", severity = "ticket", filter = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND ${local.job} AND metric.labels.result=\"failed\"", window = 900, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 2, lasting = 0 }
    "instances at their most"      = { section = "a-function-is-at-its-most", severity = "ticket", filter = "metric.type=\"run.googleapis.com/container/max_request_concurrencies\" AND ${local.revision}", window = 300, aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", over = 72, lasting = 600 }
    "Postgres busy"                = { section = "postgres-is-busy", severity = "ticket", filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database}", window = 300, aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", over = 0.8, lasting = 900 }
    "Postgres out of memory"       = { section = "postgres-is-busy", severity = "ticket", filter = "metric.type=\"cloudsql.googleapis.com/database/memory/utilization\" AND ${local.database}", window = 300, aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", over = 0.9, lasting = 900 }
    "Postgres's disk full"         = { section = "postgres-runs-out-of-disk", severity = "page", filter = "metric.type=\"cloudsql.googleapis.com/database/disk/utilization\" AND ${local.database}", window = 300, aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", over = 0.9, lasting = 300 }
    "Postgres out of connections"  = { section = "postgres-runs-out-of-connections", severity = "page", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.database}", window = 60, aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", over = floor(var.max_connections * 0.85), lasting = 300 }
    "Redis full"                   = { section = "redis-is-full", severity = "page", filter = "metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\" AND ${local.redis}", window = 300, aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", over = 0.8, lasting = 300 }
    "not reachable"                = { section = "the-service-is-unreachable", severity = "page", filter = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.this.uptime_check_id}\"", window = 300, aligner = "ALIGN_NEXT_OLDER", reducer = "REDUCE_COUNT_FALSE", over = 1, lasting = 120 }
    "requests refused at the door" = { section = "cloud-armor-refuses", severity = "ticket", filter = "metric.type=\"networksecurity.googleapis.com/https/request_count\" AND resource.type=\"network_security_policy\" AND metric.labels.blocked=true", window = 300, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", over = 1000, lasting = 600 }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(flatten(values(var.notify)))

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
}

# A public document that touches neither Postgres nor Redis: what is checked is the way to us.
resource "google_monitoring_uptime_check_config" "this" {
  display_name     = "coditect.json"
  timeout          = "10s"
  period           = var.uptime_period
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path         = "/.well-known/coditect.json"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.domain }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = each.key
  combiner              = "OR"
  severity              = each.value.severity == "page" ? "CRITICAL" : "WARNING"
  notification_channels = local.channels[each.value.severity]

  conditions {
    display_name = each.key
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.over
      duration        = "${each.value.lasting}s"

      aggregations {
        alignment_period     = "${each.value.window}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    subject   = each.key
    content   = "What to do: ${var.runbook_url}#${each.value.section}"
    mime_type = "text/markdown"
  }

  # A metric is known once it was made, and only then an alarm may name it.
  depends_on = [google_logging_metric.this]
}

# Alerts on absent metrics: a schedule that was paused and a job that can't start report no value.
resource "google_monitoring_alert_policy" "still" {
  for_each = var.hourly_jobs

  display_name          = "job ${each.key} stands still"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels.ticket

  conditions {
    display_name = "no run for three hours"
    condition_absent {
      filter   = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND ${local.job} AND resource.labels.job_name=\"${each.key}\""
      duration = "10800s"

      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject   = "job ${each.key} stands still"
    content   = "What to do: ${var.runbook_url}#a-job-stands-still"
    mime_type = "text/markdown"
  }
}
