variable "name" {
  description = "The function's name: its folder, its service, its service account."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}$", var.name))
    error_message = "Lower case letters, digits and hyphens, at most 27: a service account's name has 30."
  }
}

variable "region" {
  description = "Region of the service."
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
  description = "Image of the first revision; null: no service yet. Later ones are deployed by scripts/deploy."
  type        = string
  default     = null
  validation {
    condition     = var.image == null || can(regex("^[a-z0-9.-]+/.+[:@]", var.image))
    error_message = "REGISTRY/…/NAME@sha256:… or with a tag."
  }
}

variable "cpu" {
  description = "CPUs of an instance. Less than one allows one request at a time only."
  type        = string
  default     = "1"
  validation {
    condition     = contains(["1", "2", "4"], var.cpu)
    error_message = "1, 2 or 4."
  }
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
  default     = "256Mi"
  validation {
    condition     = can(regex("^[0-9]+(Mi|Gi)$", var.memory))
    error_message = "Such as 256Mi."
  }
}

variable "concurrency" {
  description = "Requests that an instance serves at once."
  type        = number
  default     = 80
  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "Between 1 and 1000."
  }
}

variable "min_instances" {
  description = "Instances that are kept warm. 0: it costs nothing while nobody calls."
  type        = number
  default     = 0
  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "Between 0 and max_instances."
  }
}

variable "max_instances" {
  description = "Instances at most. Each may open a whole pool of database connections."
  type        = number
  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 100
    error_message = "Between 1 and 100."
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
  description = "Subnet of the functions."
  type        = string
  validation {
    condition     = length(var.subnetwork_id) > 0
    error_message = "The subnet's id."
  }
}

variable "tags" {
  description = "Network tags: what the function may reach there."
  type        = list(string)
  validation {
    condition     = length(setsubtract(var.tags, ["postgres", "redis"])) == 0
    error_message = "postgres or redis."
  }
}

variable "settings" {
  description = "Environment variables that are no secrets."
  type        = map(string)
  validation {
    condition     = !contains(keys(var.settings), "PORT")
    error_message = "PORT is Cloud Run's."
  }
}

variable "secrets" {
  description = "Environment variables from Secret Manager. `latest` is what is newest when an instance starts."
  type        = map(object({ secret = string, version = optional(string, "latest") }))
  validation {
    condition     = alltrue([for it in var.secrets : can(regex("^(latest|[1-9][0-9]*)$", it.version))])
    error_message = "Versions are latest or a number."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
  validation {
    condition     = var.deletion_protection != null
    error_message = "true or false."
  }
}

variable "labels" {
  description = "Labels of the service and its revisions."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
