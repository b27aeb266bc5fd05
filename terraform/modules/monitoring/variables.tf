variable "project_id" {
  description = "The project that is watched."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id."
  }
}

variable "region" {
  description = "Where logs are kept."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "domain" {
  description = "The host name that is called from outside, to see whether it answers."
  type        = string
  validation {
    condition     = length(var.domain) > 0
    error_message = "A host name."
  }
}

variable "functions" {
  description = "Function → within how many milliseconds it should answer."
  type        = map(object({ latency_ms = number }))
  validation {
    condition     = alltrue([for it in var.functions : it.latency_ms >= 10 && it.latency_ms <= 10000])
    error_message = "Between 10 and 10000."
  }
}

variable "hourly_jobs" {
  description = "Jobs that run at least every hour. When one of them has not run for three, somebody is told."
  type        = set(string)
  validation {
    condition     = alltrue([for name in var.hourly_jobs : can(regex("^[a-z-]+$", name))])
    error_message = "Names of jobs."
  }
}

variable "availability_goal" {
  description = "Share of answers that are not 5xx."
  type        = number
  default     = 0.999
  validation {
    condition     = var.availability_goal > 0.9 && var.availability_goal < 1
    error_message = "Between 0.9 and 1."
  }
}

variable "latency_goal" {
  description = "Share of answers that come in time."
  type        = number
  default     = 0.99
  validation {
    condition     = var.latency_goal > 0.5 && var.latency_goal < 1
    error_message = "Between 0.5 and 1."
  }
}

variable "notify" {
  description = "E-mail addresses: whom to wake (page), whom to tell (ticket)."
  type        = object({ page = list(string), ticket = list(string) })
  validation {
    condition     = length(var.notify.page) > 0 && length(var.notify.ticket) > 0 && alltrue([for address in flatten(values(var.notify)) : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "At least one address each."
  }
}

variable "runbook_url" {
  description = "Where docs/runbook.md can be read."
  type        = string
  validation {
    condition     = startswith(var.runbook_url, "https://")
    error_message = "It begins with https://."
  }
}

variable "postgres_instance" {
  description = "Name of the Cloud SQL instance."
  type        = string
  validation {
    condition     = length(var.postgres_instance) > 0
    error_message = "The instance's name."
  }
}

variable "max_connections" {
  description = "Connections that Postgres takes."
  type        = number
  validation {
    condition     = var.max_connections >= 50
    error_message = "At least 50."
  }
}

variable "redis_instance" {
  description = "Id of the Redis instance."
  type        = string
  validation {
    condition     = length(var.redis_instance) > 0
    error_message = "The instance's id."
  }
}

variable "url_map" {
  description = "Name of the load balancer's URL map."
  type        = string
  validation {
    condition     = length(var.url_map) > 0
    error_message = "The URL map's name."
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
  description = "How often the way to us is tried."
  type        = string
  default     = "60s"
  validation {
    condition     = contains(["60s", "300s", "600s", "900s"], var.uptime_period)
    error_message = "60s, 300s, 600s or 900s."
  }
}
