variable "project_id" {
  description = "The project."
  type        = string
  validation {
    condition     = length(var.project_id) > 0
    error_message = "The project's id."
  }
}

variable "repository" {
  description = "Repository at GitHub that may deploy."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "OWNER/NAME."
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
