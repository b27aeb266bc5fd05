variable "name" {
  description = "Name of the instance."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}$", var.name))
    error_message = "Lower case letters, digits and hyphens, beginning with a letter, at most 39."
  }
}

variable "region" {
  description = "Region of the instance."
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

variable "memory_gb" {
  description = "Memory. A seat takes less than a kilobyte; 1 GB is a million of them."
  type        = number
  default     = 1
  validation {
    condition     = var.memory_gb >= 1 && var.memory_gb <= 300 && (var.replicas <= 1 || var.memory_gb >= 5)
    error_message = "Between 1 and 300; with more than one replica at least 5."
  }
}

variable "replicas" {
  description = "Replicas in other zones, one of which takes over when the primary fails. 0: none, and an outage empties Redis."
  type        = number
  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "Between 0 and 5."
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
