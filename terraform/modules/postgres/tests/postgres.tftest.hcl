# What the database refuses to be.

mock_provider "google" {}
mock_provider "random" {}

variables {
  name               = "coditect"
  region             = "europe-west1"
  network_id         = "projects/p/global/networks/coditect"
  tier               = "db-custom-2-8192"
  highly_available   = true
  max_connections    = 500
  connections_needed = 416
  roles              = ["acquire", "sync_push"]
}

run "private_encrypted_and_kept" {
  command = plan
  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "A public address, or connections in clear."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].location == "europe-west1"
    error_message = "Nothing stands by, or there is no way back, or it is elsewhere."
  }
  assert {
    condition     = toset(keys(random_password.role)) == toset(["acquire", "owner", "sync_push"])
    error_message = "A role without a password of its own."
  }
}

run "more_connections_than_there_are" {
  command = plan
  variables {
    connections_needed = 481
  }
  expect_failures = [google_sql_database_instance.this]
}

run "a_shared_core_that_stands_by" {
  command = plan
  variables {
    tier = "db-g1-small"
  }
  expect_failures = [var.highly_available]
}
