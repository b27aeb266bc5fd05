output "job" {
  description = "Name of the job; null before there is an image."
  value       = one(google_cloud_run_v2_job.this[*].name)
}

output "location" {
  description = "Where the job is."
  value       = one(google_cloud_run_v2_job.this[*].location)
}
