# Dashboards. Each tile is a line chart: a metric, how a minute of it becomes a number, and by what it is split.

locals {
  run     = "resource.type=\"cloud_run_revision\""
  balance = "resource.type=\"https_lb_rule\" AND resource.labels.url_map_name=\"${var.url_map}\""

  dashboards = {
    operations = [
      { title = "Requests a second, by function", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.run}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "5xx a second, by function", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.run} AND metric.labels.response_code_class=\"5xx\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "p99 in milliseconds, by function", filter = "metric.type=\"run.googleapis.com/request_latencies\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
      { title = "Instances, by function", filter = "metric.type=\"run.googleapis.com/container/instance_count\" AND ${local.run}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "Start of an instance in milliseconds, p95", filter = "metric.type=\"run.googleapis.com/container/startup_latencies\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"] },
      { title = "Failures of ours, by code", filter = "metric.type=\"${local.prefix}/failures\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.code"] },
      { title = "Signature in seconds, p95", filter = "metric.type=\"${local.prefix}/signature\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.outcome"] },
      { title = "Sessions restored from Postgres, p99 of a license", filter = "metric.type=\"${local.prefix}/seats_restored\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
      { title = "Postgres: CPU", filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = [] },
      { title = "Postgres: connections", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.database}", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = [] },
      { title = "Redis: memory", filter = "metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\" AND ${local.redis}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = [] },
      { title = "Outbox: how long the oldest waits, in seconds", filter = "metric.type=\"${local.prefix}/outbox_oldest\" AND ${local.job}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
      { title = "Outbox: given up, and waiting for somebody", filter = "metric.type=\"${local.prefix}/outbox_dead\" AND ${local.job}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
      { title = "Outbox: age of what was tried, in seconds, p99", filter = "metric.type=\"${local.prefix}/outbox_age\" AND ${local.job}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
    ]
    business = [
      { title = "Seats granted, by plan", filter = "metric.type=\"${local.prefix}/seats_granted\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.plan"] },
      { title = "Seats refused, by plan", filter = "metric.type=\"${local.prefix}/seats_denied\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.plan"] },
      { title = "Seats that expired, at once (p99)", filter = "metric.type=\"${local.prefix}/seats_expired\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["metric.label.plan"] },
      { title = "The part of a plan's seats that is taken", filter = "metric.type=\"${local.prefix}/seats_used\" AND ${local.job}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["metric.label.plan"] },
      { title = "Records in a push, p95", filter = "metric.type=\"${local.prefix}/context_pushed\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [] },
      { title = "Bytes in a push, p95", filter = "metric.type=\"${local.prefix}/bytes_pushed\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [] },
      { title = "Bytes in a page that is pulled, p95", filter = "metric.type=\"${local.prefix}/bytes_pulled\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [] },
      { title = "Records in a pull, p95", filter = "metric.type=\"${local.prefix}/context_pulled\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [] },
      { title = "From Stripe's event to its effect in seconds, p95", filter = "metric.type=\"${local.prefix}/webhook_lag\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["metric.label.kind"] },
      { title = "Licenses issued", filter = "metric.type=\"${local.prefix}/licenses_created\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.plan"] },
      { title = "Licenses stopped", filter = "metric.type=\"${local.prefix}/licenses_stopped\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.reason"] },
      { title = "Sales begun and portals opened", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.run} AND resource.labels.service_name=\"billing\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
    ]
    security = [
      { title = "Credentials refused, by code", filter = "metric.type=\"${local.prefix}/access_refused\" AND ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.code"] },
      { title = "4xx a second, by function", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.run} AND metric.labels.response_code_class=\"4xx\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
      { title = "Refused by Cloud Armor, by policy", filter = "metric.type=\"networksecurity.googleapis.com/https/request_count\" AND resource.type=\"network_security_policy\" AND metric.labels.blocked=true", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["resource.label.policy_name"] },
      { title = "Requests at the door, by answer", filter = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND ${local.balance}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
      { title = "Uses of the signing key", filter = "metric.type=\"serviceruntime.googleapis.com/api/request_count\" AND resource.type=\"consumed_api\" AND resource.labels.service=\"cloudkms.googleapis.com\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
      { title = "Secrets read", filter = "metric.type=\"serviceruntime.googleapis.com/api/request_count\" AND resource.type=\"consumed_api\" AND resource.labels.service=\"secretmanager.googleapis.com\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
    ]
  }
}

resource "google_monitoring_dashboard" "this" {
  for_each = local.dashboards

  dashboard_json = templatefile("${path.module}/dashboard.json.tftpl", { title = "CODITECT: ${each.key}", tiles = each.value })
  depends_on     = [google_logging_metric.this]
}
