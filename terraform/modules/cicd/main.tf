# GitHub's workflows deploy with tokens of their own run: no key exists that could be lost.

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "github"
  display_name              = "GitHub"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:Repository, owner and environment are compared by id and name; the scan looks for a subject that begins with a name.
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"

  # Only this repository, and of it only jobs of this deployment's environment, which GitHub lets reviewers guard. By the ids of
  # repository and owner: a name that is given up can be registered by another account, an id is never given again.
  attribute_condition = "assertion.repository_id == '${var.repository_id}' && assertion.repository_owner_id == '${var.repository_owner_id}' && assertion.environment == '${var.environment}'"
  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "deployer" {
  account_id   = "deployer"
  display_name = "Deploys from GitHub"
}

resource "google_service_account_iam_member" "github" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository_id/${var.repository_id}"
}

resource "google_artifact_registry_repository_iam_member" "push" {
  repository = var.artifact_repository
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${google_service_account.deployer.email}"
}

# On each service and job that is there, and not on the project: a deployer can't make others, nor change who may call.
resource "google_cloud_run_v2_service_iam_member" "deploy" {
  for_each = var.services

  name     = each.value
  location = var.region
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.deployer.email}"
}

resource "google_cloud_run_v2_job_iam_member" "deploy" {
  for_each = var.jobs

  name     = each.value
  location = var.region
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.deployer.email}"
}

# A revision runs as its function's account; the deployer needs the right to use that account.
resource "google_service_account_iam_member" "act_as" {
  for_each = var.accounts

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${google_service_account.deployer.email}"
}

# While a canary has some of the requests, how they went is read from the region's log, and from nothing else.
resource "google_project_iam_member" "watch" {
  project = var.project_id
  role    = "roles/logging.viewAccessor"
  member  = "serviceAccount:${google_service_account.deployer.email}"

  condition {
    title      = "coditect's log"
    expression = "resource.name == 'projects/${var.project_id}/locations/${var.region}/buckets/coditect/views/_AllLogs'"
  }
}
