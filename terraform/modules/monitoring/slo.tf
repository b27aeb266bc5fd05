# Service level objective of each function, and an alert when its error budget burns too fast. Measured at Cloud Run's own door, so
# that a function that can't even log is counted too.

locals {
  # Google's "Alerting on SLOs": a rate at which 2 % of a month's budget is gone in an hour, and 5 % in six; the shorter window
  # ends the alarm soon after the trouble ends.
  burn_rates = {
    fast = { windows = ["3600s", "300s"], rate = 14.4, severity = "page" }
    slow = { windows = ["21600s", "1800s"], rate = 6, severity = "ticket" }
  }
  burns = { for pair in setproduct(keys(var.functions), keys(local.burn_rates)) : "${pair[0]} ${pair[1]}" => merge(local.burn_rates[pair[1]], { function = pair[0], speed = pair[1] }) }
}

resource "google_monitoring_custom_service" "function" {
  for_each = var.functions

  service_id   = each.key
  display_name = "Function ${each.key}"
}

resource "google_monitoring_slo" "availability" {
  for_each = var.functions

  service             = google_monitoring_custom_service.function[each.key].service_id
  slo_id              = "availability"
  display_name        = "${each.key}: answers that are not 5xx"
  goal                = var.availability_goal
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${each.key}\""
      bad_service_filter   = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${each.key}\" metric.labels.response_code_class=\"5xx\""
    }
  }
}

resource "google_monitoring_slo" "latency" {
  for_each = var.functions

  service             = google_monitoring_custom_service.function[each.key].service_id
  slo_id              = "latency"
  display_name        = "${each.key}: answers within ${each.value.latency_ms} ms"
  goal                = var.latency_goal
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"run.googleapis.com/request_latencies\" resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${each.key}\""
      range {
        min = 0
        max = each.value.latency_ms
      }
    }
  }
}

resource "google_monitoring_alert_policy" "availability" {
  for_each = local.burns

  display_name          = "${each.value.function}: error budget burns ${each.value.speed}"
  combiner              = "AND"
  severity              = each.value.severity == "page" ? "CRITICAL" : "WARNING"
  notification_channels = local.channels[each.value.severity]
  user_labels           = { function = each.value.function }

  dynamic "conditions" {
    for_each = each.value.windows
    content {
      display_name = "over ${conditions.value}"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${google_monitoring_slo.availability[each.value.function].name}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }

  documentation {
    subject   = "${each.value.function} fails too often"
    content   = "${each.value.function} uses its error budget ${each.value.rate} times as fast as it may. What to do: ${var.runbook_url}#a-function-fails-too-often"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "latency" {
  for_each = var.functions

  display_name          = "${each.key}: slow for too many"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels.ticket
  user_labels           = { function = each.key }

  conditions {
    display_name = "latency budget over an hour"
    condition_threshold {
      filter          = "select_slo_burn_rate(\"${google_monitoring_slo.latency[each.key].name}\", \"3600s\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 6
      duration        = "300s"
    }
  }

  documentation {
    subject   = "${each.key} is slow"
    content   = "Too many answers of ${each.key} take longer than ${each.value.latency_ms} ms. What to do: ${var.runbook_url}#a-function-is-slow"
    mime_type = "text/markdown"
  }
}
