# The key that signs tokens: RSA-4096 in Cloud KMS, never outside it.

resource "google_kms_key_ring" "this" {
  name     = var.name
  location = var.region
}

resource "google_kms_crypto_key" "signing" {
  #checkov:skip=CKV_GCP_43:Asymmetric keys can't rotate by themselves; a new version is made by hand, because clients must learn it first.
  name                          = "licenses"
  key_ring                      = google_kms_key_ring.this.id
  purpose                       = "ASYMMETRIC_SIGN"
  destroy_scheduled_duration    = "2592000s"
  skip_initial_version_creation = true
  labels                        = var.labels

  version_template {
    algorithm        = "RSA_SIGN_PKCS1_4096_SHA256"
    protection_level = var.protection_level
  }

  lifecycle {
    # Without it no token that is out there could be followed by another that clients trust.
    prevent_destroy = true
  }
}

# Rotation: a version more, then `current_version`, then `ops keys retire` a week later, then `disabled_versions`.
resource "google_kms_crypto_key_version" "signing" {
  for_each = toset([for number in range(1, var.versions + 1) : tostring(number)])

  crypto_key = google_kms_crypto_key.signing.id
  state      = contains(var.disabled_versions, tonumber(each.key)) ? "DISABLED" : "ENABLED"

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  # The function that signs also publishes the public key.
  rights = ["roles/cloudkms.signer", "roles/cloudkms.publicKeyViewer"]
  grants = { for pair in setproduct(keys(var.signers), local.rights) : "${pair[0]} ${pair[1]}" => { signer = pair[0], role = pair[1] } }
}

resource "google_kms_crypto_key_iam_member" "signer" {
  for_each = local.grants

  crypto_key_id = google_kms_crypto_key.signing.id
  role          = each.value.role
  member        = "serviceAccount:${var.signers[each.value.signer]}"
}
