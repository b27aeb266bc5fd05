output "instance" {
  description = "Name of the instance, as metrics call it with its project."
  value       = google_sql_database_instance.this.name
}

output "urls" {
  description = "Role → connection URL, the owner's among them."
  value       = local.urls
  sensitive   = true
}

output "role_passwords" {
  description = "Role → password, without the owner's."
  value       = { for role in var.roles : "coditect_${role}" => random_password.role[role].result }
  sensitive   = true
}

output "certificate_authority" {
  description = "The authority of the server's certificate, PEM."
  value       = google_sql_database_instance.this.server_ca_cert[0].cert
}

output "locations" {
  description = "Where data and backups are."
  value = {
    "Cloud SQL"         = google_sql_database_instance.this.region
    "Cloud SQL backups" = google_sql_database_instance.this.settings[0].backup_configuration[0].location
  }
}
