output "provider" {
  description = "What a workflow names as its workload identity provider."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "deployer" {
  description = "The account that it becomes."
  value       = google_service_account.deployer.email
}
