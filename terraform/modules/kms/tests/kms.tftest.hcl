# The signing key, and its rotation.

mock_provider "google" {
  override_during = plan
  mock_resource "google_kms_crypto_key_version" {
    defaults = { name = "projects/p/locations/europe-west1/keyRings/coditect/cryptoKeys/licenses/cryptoKeyVersions/1" }
  }
}

variables {
  name             = "coditect"
  region           = "europe-west1"
  protection_level = "HSM"
  signers          = { acquire = "fn-acquire@p.iam.gserviceaccount.com" }
}

run "a_key_that_signs_rs256" {
  command = plan
  assert {
    condition     = google_kms_crypto_key.signing.purpose == "ASYMMETRIC_SIGN" && google_kms_crypto_key.signing.version_template[0].algorithm == "RSA_SIGN_PKCS1_4096_SHA256"
    error_message = "Not a key that the functions can sign with."
  }
  assert {
    condition     = startswith(output.signing_key, "kms:projects/")
    error_message = "SIGNING_KEY names no version."
  }
  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.signer)) == toset(["acquire roles/cloudkms.signer", "acquire roles/cloudkms.publicKeyViewer"])
    error_message = "A signer signs and publishes, and does nothing else."
  }
}

run "a_rotation" {
  command = plan
  variables {
    versions          = 2
    current_version   = 2
    disabled_versions = [1]
  }
  assert {
    condition     = google_kms_crypto_key_version.signing["1"].state == "DISABLED" && google_kms_crypto_key_version.signing["2"].state == "ENABLED"
    error_message = "The old version is not out of use."
  }
}

run "signing_with_what_is_disabled" {
  command = plan
  variables {
    versions          = 2
    current_version   = 1
    disabled_versions = [1]
  }
  expect_failures = [var.current_version]
}
