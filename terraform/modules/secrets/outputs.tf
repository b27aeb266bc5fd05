output "ids" {
  description = "Secret → its id, once those who need it may read it."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.reader, google_secret_manager_secret_version.this]
}

output "readers" {
  description = "Secret → the functions and jobs that may read it."
  value       = { for secret, readers in var.readers : secret => sort(keys(readers)) }
}

output "by_hand" {
  description = "Secrets whose values have to be put in by hand."
  value       = sort(setsubtract(keys(var.readers), var.made))
}

output "locations" {
  description = "Where the secrets are."
  value       = { for name, secret in google_secret_manager_secret.this : "secret ${name}" => secret.replication[0].user_managed[0].replicas[0].location }
}
