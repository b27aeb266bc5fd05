output "alerts" {
  description = "Function → its alarms."
  value = { for name in keys(var.functions) : name => concat(
    [for key, burn in local.burns : google_monitoring_alert_policy.availability[key].display_name if burn.function == name],
    [google_monitoring_alert_policy.latency[name].display_name],
  ) }
}

output "runbook_sections" {
  description = "Sections of the runbook that alarms link to."
  value       = sort(distinct(concat(["a-function-fails-too-often", "a-function-is-slow", "a-job-stands-still"], [for alert in local.alerts : alert.section])))
}

output "channels" {
  description = "Whom to tell of money."
  value       = local.channels.ticket
}

output "dashboards" {
  description = "The dashboards, as Monitoring was given them."
  value       = { for name, dashboard in google_monitoring_dashboard.this : name => dashboard.dashboard_json }
}

output "location" {
  description = "Where the logs are."
  value       = google_logging_project_bucket_config.this.location
}
