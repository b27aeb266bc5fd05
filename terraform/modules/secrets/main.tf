# Secrets in Secret Manager, kept in one region, each readable by the accounts named and no other.

resource "google_secret_manager_secret" "this" {
  for_each = var.readers

  secret_id       = each.key
  labels          = var.labels
  version_aliases = {}

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

# Secrets that Terraform makes itself: connection URLs. The others are put in by hand, so that no plan and no state has them.
resource "google_secret_manager_secret_version" "this" {
  for_each = var.made

  secret      = google_secret_manager_secret.this[each.key].id
  secret_data = var.values[each.key]
}

locals {
  grants = merge([
    for secret, readers in var.readers : { for reader, account in readers : "${secret} ${reader}" => { secret = secret, account = account } }
  ]...)
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.grants

  secret_id = google_secret_manager_secret.this[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${each.value.account}"
}
