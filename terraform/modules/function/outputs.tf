output "service" {
  description = "Name of the service; null before there is an image."
  value       = one(google_cloud_run_v2_service.this[*].name)
}

output "location" {
  description = "Where the service is."
  value       = one(google_cloud_run_v2_service.this[*].location)
}

output "reads" {
  description = "Names of the environment variables that are set."
  value       = sort(concat(keys(var.settings), keys(var.secrets)))
}
