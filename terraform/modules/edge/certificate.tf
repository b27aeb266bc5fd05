# The certificate is proved by DNS, so that it is there before the first request is sent this way.

resource "google_certificate_manager_dns_authorization" "this" {
  name   = var.name
  domain = var.domain
  labels = var.labels
}

resource "google_certificate_manager_certificate" "this" {
  name   = var.name
  labels = var.labels

  managed {
    domains            = [var.domain]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map" "this" {
  name   = var.name
  labels = var.labels
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  name         = var.name
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.domain
  certificates = [google_certificate_manager_certificate.this.id]
  labels       = var.labels
}

resource "google_compute_ssl_policy" "this" {
  name            = var.name
  min_tls_version = "TLS_1_2"
  profile         = var.tls_profile
}
