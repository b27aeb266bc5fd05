output "network_id" {
  description = "The network."
  value       = google_compute_network.this.id
}

output "subnetwork_id" {
  description = "The functions' subnet."
  value       = google_compute_subnetwork.functions.id
}

output "location" {
  description = "Where the subnet is."
  value       = google_compute_subnetwork.functions.region
}

output "services_network_id" {
  description = "The network, once it is peered with Google's: what Cloud SQL and Memorystore wait for."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.services]
}
