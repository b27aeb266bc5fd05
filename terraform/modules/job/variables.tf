variable "name" {
  description = "The job's name."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,25}$", var.name))
    error_message = "Lower case letters, digits and hyphens, at most 26."
  }
}

variable "region" {
  description = "Region of the job and its schedule."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "service_account" {
  description = "Whom it runs as: an account of its own."
  type        = string
  validation {
    condition     = length(var.service_account) > 0
    error_message = "The account's e-mail address."
  }
}

variable "image" {
  description = "Image of `ops`; null: no job yet."
  type        = string
  default     = null
  validation {
    condition     = var.image == null || can(regex("^[a-z0-9.-]+/.+[:@]", var.image))
    error_message = "REGISTRY/…/NAME@sha256:… or with a tag."
  }
}

variable "arguments" {
  description = "The command, as `ops --help` lists it."
  type        = list(string)
  validation {
    condition     = length(var.arguments) > 0
    error_message = "At least one word."
  }
}

variable "schedule" {
  description = "When it runs, as cron says it, in UTC; null: when somebody starts it. A run is paid for a minute at least."
  type        = string
  default     = null
  validation {
    condition     = var.schedule == null || length(split(" ", coalesce(var.schedule, "x"))) == 5
    error_message = "Five fields, such as */5 * * * *."
  }
}

variable "timeout" {
  description = "How long a run may take."
  type        = string
  default     = "300s"
  validation {
    condition     = can(regex("^[0-9]+s$", var.timeout))
    error_message = "Such as 300s."
  }
}

variable "retries" {
  description = "How often a run that failed is tried again at once."
  type        = number
  default     = 0
  validation {
    condition     = var.retries >= 0 && var.retries <= 10
    error_message = "Between 0 and 10."
  }
}

variable "network_id" {
  description = "Network of Postgres and Redis."
  type        = string
  validation {
    condition     = length(var.network_id) > 0
    error_message = "The network's id."
  }
}

variable "subnetwork_id" {
  description = "Subnet of functions and jobs."
  type        = string
  validation {
    condition     = length(var.subnetwork_id) > 0
    error_message = "The subnet's id."
  }
}

variable "tags" {
  description = "Network tags: what the job may reach there."
  type        = list(string)
  validation {
    condition     = length(setsubtract(var.tags, ["google", "postgres", "redis"])) == 0
    error_message = "google, postgres or redis."
  }
}

variable "settings" {
  description = "Environment variables that are no secrets."
  type        = map(string)
  validation {
    condition     = !contains(keys(var.settings), "DATABASE_URL")
    error_message = "DATABASE_URL is a secret."
  }
}

variable "secrets" {
  description = "Environment variables from Secret Manager."
  type        = map(object({ secret = string, version = optional(string, "latest") }))
  validation {
    condition     = alltrue([for it in var.secrets : can(regex("^(latest|[1-9][0-9]*)$", it.version))])
    error_message = "Versions are latest or a number."
  }
}

variable "labels" {
  description = "Labels of the job."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
