# Metrics made of log lines: they are there whether or not an instance is, and cost nothing while there are no calls.

locals {
  prefix = "logging.googleapis.com/user/coditect"

  # Of facts, as docs/observability.md describes them. `value`: a field whose distribution is kept; without it lines are counted.
  facts = {
    seats_granted     = { fact = "seat_granted", value = null, unit = "1", labels = ["plan", "session"], says = "Seats granted" }
    seats_denied      = { fact = "seat_denied", value = null, unit = "1", labels = ["plan", "reason"], says = "Seats refused" }
    seats_expired     = { fact = "seat_expired", value = "seats", unit = "1", labels = ["plan"], says = "Seats that passed to others because nobody kept them" }
    seats_in_use      = { fact = "seats_in_use", value = "in_use", unit = "1", labels = ["plan"], says = "Seats of a plan that are taken" }
    seats_used        = { fact = "seats_in_use", value = "used", unit = "1", labels = ["plan"], says = "The part of a plan's seats that is taken" }
    seats_restored    = { fact = "seats_restored", value = "sessions", unit = "1", labels = ["outcome"], says = "Sessions that Redis didn't know and Postgres gave back" }
    validated         = { fact = "validated", value = null, unit = "1", labels = ["plan", "outcome"], says = "License keys asked about" }
    signature         = { fact = "signed", value = "seconds", unit = "s", labels = ["outcome"], says = "Time that the signing key takes" }
    signatures_failed = { fact = "signed", value = null, unit = "1", labels = ["outcome"], says = "Tokens to be signed, by outcome" }
    webhook_lag       = { fact = "stripe_event", value = "lag_seconds", unit = "s", labels = ["kind", "outcome"], says = "From Stripe's event to its effect" }
    stripe_events     = { fact = "stripe_event", value = null, unit = "1", labels = ["kind", "outcome"], says = "Stripe's events, by outcome" }
    outbox_age        = { fact = "outbox_tried", value = "age_seconds", unit = "s", labels = ["kind", "outcome"], says = "Age of the outbox's entries when they were tried" }
    outbox_rounds     = { fact = "outbox_round", value = null, unit = "1", labels = ["outcome"], says = "How often the outbox was gone through" }
    outbox_oldest     = { fact = "outbox_level", value = "oldest_seconds", unit = "s", labels = [], says = "How long the oldest entry of the outbox waits" }
    outbox_dead       = { fact = "outbox_level", value = "dead", unit = "1", labels = [], says = "Entries of the outbox that were given up" }
    context_pushed    = { fact = "context_pushed", value = "records", unit = "1", labels = [], says = "Records pushed" }
    bytes_pushed      = { fact = "context_pushed", value = "bytes", unit = "By", labels = [], says = "Size of a push" }
    bytes_pulled      = { fact = "context_pulled", value = "bytes", unit = "By", labels = [], says = "Size of a page that was pulled" }
    context_conflicts = { fact = "context_pushed", value = "conflicts", unit = "1", labels = [], says = "Records that met another change" }
    context_pulled    = { fact = "context_pulled", value = "records", unit = "1", labels = [], says = "Records pulled" }
    licenses_created  = { fact = "license_created", value = null, unit = "1", labels = ["plan", "by"], says = "Licenses issued" }
    licenses_stopped  = { fact = "license_stopped", value = null, unit = "1", labels = ["reason", "by"], says = "Licenses that can't be used any more" }
    access_refused    = { fact = "access_refused", value = null, unit = "1", labels = ["code", "route"], says = "Credentials refused" }
  }

  # Of the other lines. Requests themselves are counted by Cloud Run; good ones write no line.
  lines = {
    failures  = { match = "severity>=WARNING AND jsonPayload.status>=500", labels = ["function", "code"], says = "Requests that failed for a reason of ours" }
    errors    = { match = "severity>=ERROR", labels = ["function"], says = "Lines that say that we made a mistake" }
    not_ready = { match = "jsonPayload.message=\"not ready\"", labels = ["function", "dependency"], says = "Readiness checks that failed, by dependency" }
  }

  metrics = merge(
    { for name, it in local.facts : name => merge(it, { match = "jsonPayload.fact=\"${it.fact}\"" }) },
    { for name, it in local.lines : name => merge(it, { fact = "", value = null, unit = "1" }) },
  )
}

resource "google_logging_metric" "this" {
  for_each = local.metrics

  name        = "coditect/${each.key}"
  description = each.value.says
  filter      = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_job\") AND ${each.value.match}"

  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit         = each.value.unit
    display_name = each.value.says

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  value_extractor  = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  dynamic "bucket_options" {
    for_each = each.value.value == null ? [] : [each.value.value]
    content {
      exponential_buckets {
        num_finite_buckets = 64
        growth_factor      = 1.4
        # A thousandth: shares and milliseconds are resolved as well as thousands of records.
        scale = 0.001
      }
    }
  }
}
