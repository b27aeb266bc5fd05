output "address" {
  description = "What the domain's A record points to."
  value       = google_compute_global_address.this.address
}

output "certificate_record" {
  description = "The DNS record that proves the domain, for the certificate."
  value       = google_certificate_manager_dns_authorization.this.dns_resource_record[0]
}

output "routes" {
  description = "Route → function: a method, or * where a function answers wrong methods itself, and a path."
  value       = { for route in local.routes : "${route.shared ? route.method : "*"} ${route.path}" => route.function... }
}

output "policies" {
  description = "Function → the policy in front of it."
  value       = { for name, it in var.functions : name => it.opaque_body ? "opaque" : "guarded" }
}

output "endpoint_groups" {
  description = "Function → region of its endpoint group."
  value       = { for name, group in google_compute_region_network_endpoint_group.function : name => group.region }
}

output "url_map" {
  description = "Name of the URL map, as metrics call it."
  value       = google_compute_url_map.this.name
}
