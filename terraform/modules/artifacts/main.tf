# Where images are kept.

resource "google_artifact_registry_repository" "this" {
  #checkov:skip=CKV_GCP_84:Images hold no secret and no customer's data; Google's own encryption at rest is enough for them.
  repository_id          = var.name
  location               = var.region
  format                 = "DOCKER"
  description            = "Images of the functions and of ops"
  labels                 = var.labels
  cleanup_policy_dry_run = false

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.keep
    }
  }

  cleanup_policies {
    id     = "keep-releases"
    action = "KEEP"
    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["v"]
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${var.delete_after_days * 24 * 60 * 60}s"
    }
  }
}
