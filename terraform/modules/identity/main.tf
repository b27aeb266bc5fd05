# Identity Platform: people sign in with Google, GitHub or their company's OpenID Connect provider. Its ID tokens are what the
# functions accept; user accounts are ours only where the migration's table has them.

resource "google_identity_platform_config" "this" {
  authorized_domains         = var.domains
  autodelete_anonymous_users = true

  sign_in {
    allow_duplicate_emails = false
    anonymous {
      enabled = false
    }
    email {
      enabled           = false
      password_required = true
    }
    phone_number {
      enabled = false
    }
  }
}

resource "google_identity_platform_default_supported_idp_config" "this" {
  for_each = var.social

  idp_id        = each.key
  enabled       = true
  client_id     = each.value
  client_secret = var.client_secrets[each.key]
  depends_on    = [google_identity_platform_config.this]
}

resource "google_identity_platform_oauth_idp_config" "this" {
  for_each = var.openid

  name          = "oidc.${each.key}"
  display_name  = each.value.display_name
  enabled       = true
  issuer        = each.value.issuer
  client_id     = each.value.client_id
  client_secret = var.client_secrets[each.key]
  depends_on    = [google_identity_platform_config.this]

  response_type {
    code     = true
    id_token = false
  }
}
