variable "project_id" {
  description = "The project."
  type        = string
  validation {
    condition     = length(var.project_id) > 0
    error_message = "The project's id."
  }
}

variable "repository_id" {
  description = "Number of the repository at GitHub whose workflows may deploy: gh api repos/OWNER/NAME --jq .id"
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.repository_id))
    error_message = "The repository's number, not its name."
  }
}

variable "repository_owner_id" {
  description = "Number of the account that owns that repository: gh api repos/OWNER/NAME --jq .owner.id"
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.repository_owner_id))
    error_message = "The owner's number, not its name."
  }
}

variable "environment" {
  description = "GitHub's environment whose jobs may deploy here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.environment))
    error_message = "Lower case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of services, jobs and images."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "artifact_repository" {
  description = "Repository that images are pushed to."
  type        = string
  validation {
    condition     = length(var.artifact_repository) > 0
    error_message = "The repository's name."
  }
}

variable "services" {
  description = "Services that may be deployed: function → service."
  type        = map(string)
  validation {
    condition     = alltrue([for name in keys(var.services) : length(name) > 0])
    error_message = "Names of functions."
  }
}

variable "jobs" {
  description = "Jobs that may be updated and run."
  type        = map(string)
  validation {
    condition     = alltrue([for name in keys(var.jobs) : length(name) > 0])
    error_message = "Names of jobs."
  }
}

variable "accounts" {
  description = "Service accounts that revisions and jobs run as."
  type        = map(string)
  validation {
    condition     = length(var.accounts) > 0
    error_message = "At least one."
  }
}
