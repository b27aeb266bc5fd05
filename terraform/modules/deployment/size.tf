# Size of a deployment: the difference between staging and production.

variable "postgres" {
  description = "The database: see modules/postgres."
  type = object({
    name             = optional(string, "coditect")
    tier             = string
    highly_available = bool
    max_connections  = number
    disk_gb          = optional(number, 10)
    backups_retained = optional(number, 30)
  })
  validation {
    condition     = var.postgres.max_connections >= 50
    error_message = "max_connections is at least 50."
  }
}

variable "redis" {
  description = "Redis: see modules/redis. `confirmed`: whether a grant waits for the replicas, so that a failover can't sell a seat twice."
  type        = object({ memory_gb = number, replicas = number, confirmed = optional(bool, true) })
  validation {
    condition     = var.redis.memory_gb >= 1 && var.redis.replicas >= 0
    error_message = "At least 1 GB, and no less than no replica."
  }
}

variable "kms" {
  description = "The signing key: see modules/kms."
  type = object({
    protection_level  = string
    versions          = optional(number, 1)
    current_version   = optional(number, 1)
    disabled_versions = optional(set(number), [])
  })
  validation {
    condition     = var.kms.current_version <= var.kms.versions
    error_message = "The current version is one of those that are there."
  }
}

variable "max_instances_default" {
  description = "No function gets more instances than this, unless max_instances says so."
  type        = number
  default     = 100
  validation {
    condition     = var.max_instances_default >= 1 && var.max_instances_default <= 100
    error_message = "Between 1 and 100."
  }
}

variable "max_instances" {
  description = "Function → instances at most, where it is not what the table says."
  type        = map(number)
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.max_instances), keys(local.functions))) == 0
    error_message = "Names of functions."
  }
}

variable "min_instances" {
  description = "Function → instances that are kept warm. Without: none, and nothing is paid while nobody calls."
  type        = map(number)
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.min_instances), keys(local.functions))) == 0
    error_message = "Names of functions."
  }
}

variable "outbox_schedule" {
  description = "When mail is sent, as cron says it. A run is paid for a minute at least, so that every minute is all the time. Where it is every hour or more often, three hours without a run are an alarm."
  type        = string
  default     = "*/5 * * * *"
  validation {
    condition     = length(split(" ", var.outbox_schedule)) == 5
    error_message = "Five fields."
  }
}

variable "requests_per_minute" {
  description = "Requests a minute from one address; a whole office may be one."
  type        = number
  default     = 1200
  validation {
    condition     = var.requests_per_minute >= 60
    error_message = "At least 60."
  }
}

variable "signatures_preview" {
  description = "Whether Cloud Armor's signatures only log what they would refuse."
  type        = bool
  default     = false
  validation {
    condition     = var.signatures_preview != null
    error_message = "true or false."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650
    error_message = "Between 1 and 3650."
  }
}

variable "uptime_period" {
  description = "How often the way in is tried from outside."
  type        = string
  default     = "60s"
  validation {
    condition     = contains(["60s", "300s", "600s", "900s"], var.uptime_period)
    error_message = "60s, 300s, 600s or 900s."
  }
}

variable "functions_cidr" {
  description = "Addresses of the functions' instances."
  type        = string
  default     = "10.20.0.0/22"
  validation {
    condition     = can(cidrhost(var.functions_cidr, 1))
    error_message = "A CIDR range."
  }
}

variable "services_cidr" {
  description = "Addresses of Cloud SQL and Memorystore."
  type        = string
  default     = "10.21.0.0/20"
  validation {
    condition     = can(cidrhost(var.services_cidr, 1))
    error_message = "A CIDR range."
  }
}
