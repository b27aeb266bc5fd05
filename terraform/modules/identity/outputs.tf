output "issuer" {
  description = "An entry of OIDC_ISSUERS: who issues the ID tokens, for whom."
  value       = { issuer = "https://securetoken.google.com/${var.project_id}", audience = var.project_id, tenants = "*" }
  depends_on  = [google_identity_platform_config.this]
}
