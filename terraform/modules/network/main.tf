# A network of our own: the functions' way to Postgres and Redis, and nothing else.

resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "functions" {
  name                     = "${var.name}-functions"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = var.functions_cidr
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = var.flow_sampling
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Cloud SQL and Memorystore live in Google's network and are reached by peering.
resource "google_compute_global_address" "services" {
  name          = "${var.name}-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.services_cidr)[0]
  prefix_length = tonumber(split("/", var.services_cidr)[1])
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
  # Google keeps the peering for some days after the last instance is gone; forgetting it is what can be done.
  deletion_policy = "ABANDON"
}

# Where nothing else is said, a function reaches nothing in here. Tags, one for each right, open addresses to it.
resource "google_compute_firewall" "nothing" {
  name               = "${var.name}-nothing"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "reach" {
  for_each = var.ports

  name               = "${var.name}-reach-${each.key}"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [var.services_cidr]
  target_tags        = [each.key]

  allow {
    protocol = "tcp"
    ports    = each.value
  }
}

# The smoke test asks a revision from inside, at the address that Google's own services have in private networks.
resource "google_compute_firewall" "google" {
  name               = "${var.name}-reach-google"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = ["199.36.153.8/30"]
  target_tags        = ["google"]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}
