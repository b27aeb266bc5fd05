# What Google would answer, where a list must not be empty.

mock_resource "google_sql_database_instance" {
  defaults = {
    private_ip_address = "10.21.0.5"
    dns_name           = ""
    server_ca_cert     = [{ cert = "-----BEGIN CERTIFICATE-----\nsql\n-----END CERTIFICATE-----" }]
    dns_names          = [{ name = "abc.def.europe-west1.sql.goog.", connection_type = "PRIVATE_SERVICES_ACCESS", dns_scope = "INSTANCE" }]
  }
}

mock_resource "google_redis_instance" {
  defaults = {
    host            = "10.21.1.4"
    port            = 6378
    server_ca_certs = [{ cert = "-----BEGIN CERTIFICATE-----\nredis\n-----END CERTIFICATE-----" }]
  }
}

mock_resource "google_certificate_manager_dns_authorization" {
  defaults = {
    dns_resource_record = [{ name = "_acme-challenge.api.example.com.", type = "CNAME", data = "x.authorize.certificatemanager.goog." }]
  }
}

mock_resource "google_kms_crypto_key_version" {
  defaults = { name = "projects/p/locations/europe-west1/keyRings/coditect/cryptoKeys/licenses/cryptoKeyVersions/1" }
}

mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_resource "google_service_account" {
  defaults = { name = "projects/p/serviceAccounts/x@p.iam.gserviceaccount.com", email = "x@p.iam.gserviceaccount.com" }
}

mock_resource "google_artifact_registry_repository" {
  defaults = { name = "coditect", project = "p" }
}

mock_resource "google_secret_manager_secret" {
  defaults = { id = "projects/p/secrets/x" }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = { id = "projects/p/notificationChannels/1" }
}

mock_resource "google_compute_global_address" {
  defaults = { address = "203.0.113.10" }
}

mock_resource "google_sql_database" {
  defaults = { id = "projects/p/instances/coditect/databases/coditect" }
}
