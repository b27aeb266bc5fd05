output "url" {
  description = "Connection URL, password included."
  value       = "rediss://:${google_redis_instance.this.auth_string}@${google_redis_instance.this.host}:${google_redis_instance.this.port}"
  sensitive   = true
}

output "certificate_authorities" {
  description = "The authorities of the server's certificate, PEM; two while one follows the other."
  value       = join("\n", [for ca in google_redis_instance.this.server_ca_certs : ca.cert])
}

output "instance_id" {
  description = "The instance, as metrics call it."
  value       = google_redis_instance.this.id
}

output "replicas" {
  description = "How many replicas must hold a grant."
  value       = var.replicas
}

output "location" {
  description = "Where the instance is."
  value       = google_redis_instance.this.region
}
