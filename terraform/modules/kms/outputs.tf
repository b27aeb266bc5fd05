output "signing_key" {
  description = "SIGNING_KEY of those who sign."
  value       = "kms:${google_kms_crypto_key_version.signing[tostring(var.current_version)].name}"
  depends_on  = [google_kms_crypto_key_iam_member.signer]
}

output "signers" {
  description = "The functions that may sign."
  value       = toset([for grant in local.grants : grant.signer])
}

output "location" {
  description = "Where the key is."
  value       = google_kms_key_ring.this.location
}
