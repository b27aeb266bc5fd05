output "repository" {
  description = "Name of the repository."
  value       = google_artifact_registry_repository.this.name
}

output "registry" {
  description = "What image names begin with."
  value       = "${google_artifact_registry_repository.this.location}-docker.pkg.dev/${google_artifact_registry_repository.this.project}/${google_artifact_registry_repository.this.repository_id}"
}

output "location" {
  description = "Where the images are."
  value       = google_artifact_registry_repository.this.location
}
