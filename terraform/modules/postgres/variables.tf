variable "name" {
  description = "Name of the instance. Cloud SQL keeps a deleted instance's name for a week."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,60}$", var.name))
    error_message = "Lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "Region of the instance and of its backups."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "network_id" {
  description = "Network that is peered with Google's services."
  type        = string
  validation {
    condition     = length(var.network_id) > 0
    error_message = "The network's id."
  }
}

variable "tier" {
  description = "Machine type: db-custom-CPUS-MEGABYTES, or a shared core for staging."
  type        = string
  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.tier))
    error_message = "db-f1-micro, db-g1-small or db-custom-CPUS-MEGABYTES."
  }
}

variable "highly_available" {
  description = "Whether a second zone stands by. It doubles the price."
  type        = bool
  validation {
    condition     = !(var.highly_available && can(regex("^db-(f1|g1)", var.tier)))
    error_message = "A shared core has no service level; take db-custom for a highly available instance."
  }
}

variable "disk_gb" {
  description = "First size of the disk. It grows by itself."
  type        = number
  default     = 10
  validation {
    condition     = var.disk_gb >= 10
    error_message = "At least 10."
  }
}

variable "disk_limit_gb" {
  description = "How far the disk may grow; 0: without limit."
  type        = number
  default     = 500
  validation {
    condition     = var.disk_limit_gb == 0 || var.disk_limit_gb >= 10
    error_message = "0, or at least 10."
  }
}

variable "backups_retained" {
  description = "Daily backups that are kept."
  type        = number
  default     = 30
  validation {
    condition     = var.backups_retained >= 7 && var.backups_retained <= 365
    error_message = "Between 7 and 365."
  }
}

variable "point_in_time_days" {
  description = "Days back to which any moment can be restored."
  type        = number
  default     = 7
  validation {
    condition     = var.point_in_time_days >= 1 && var.point_in_time_days <= 7
    error_message = "Between 1 and 7."
  }
}

variable "max_connections" {
  description = "Postgres's max_connections; each costs it up to 10 MB."
  type        = number
  validation {
    condition     = var.max_connections >= 50 && var.max_connections <= 2000
    error_message = "Between 50 and 2000."
  }
}

variable "connections_needed" {
  description = "Connections that all functions open at their most."
  type        = number
  validation {
    condition     = var.connections_needed >= 0
    error_message = "Not negative."
  }
}

variable "roles" {
  description = "Database roles of the functions, without their prefix coditect_."
  type        = set(string)
  validation {
    condition     = alltrue([for role in var.roles : can(regex("^[a-z][a-z_]*$", role)) && role != "owner"])
    error_message = "Lower case letters and underscores; the owner is there anyway."
  }
}

variable "password_generation" {
  description = "Another number makes new passwords for all roles; docs/deployment.md says what to run then."
  type        = number
  default     = 1
  validation {
    condition     = var.password_generation >= 1
    error_message = "1 or more."
  }
}

variable "deletion_protection" {
  description = "Whether deleting the instance is refused, by Terraform and by Google."
  type        = bool
  default     = true
  validation {
    condition     = var.deletion_protection != null
    error_message = "true or false."
  }
}

variable "labels" {
  description = "Labels of the instance."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
