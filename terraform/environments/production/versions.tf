terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }

  # The bucket is named at `init -backend-config=bucket=…`, because each deployment has its own.
  backend "gcs" {
    prefix = "coditect"
  }
}

provider "google" {
  project = var.settings.project_id
  region  = var.settings.region
  # Budgets are asked for in the name of the project whose API is enabled.
  user_project_override = true
  billing_project       = var.settings.project_id
}
