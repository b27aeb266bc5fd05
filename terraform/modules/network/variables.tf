variable "name" {
  description = "Name of the network, and prefix of what is in it."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower case letters, digits and hyphens, beginning with a letter, at most 31."
  }
}

variable "region" {
  description = "Region of the functions' subnet."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "functions_cidr" {
  description = "Addresses of the functions' instances. Cloud Run takes up to four for each instance while revisions change."
  type        = string
  default     = "10.20.0.0/22"
  validation {
    condition     = can(cidrhost(var.functions_cidr, 1)) && tonumber(split("/", var.functions_cidr)[1]) <= 26
    error_message = "A CIDR range, /26 or larger."
  }
}

variable "services_cidr" {
  description = "Addresses of Cloud SQL and Memorystore."
  type        = string
  default     = "10.21.0.0/20"
  validation {
    condition     = can(cidrhost(var.services_cidr, 1)) && tonumber(split("/", var.services_cidr)[1]) <= 24
    error_message = "A CIDR range, /24 or larger."
  }
}

variable "ports" {
  description = "What may be reached: network tag → TCP ports."
  type        = map(list(string))
  default = {
    postgres = ["5432"]
    redis    = ["6378", "6379"]
  }
  validation {
    condition     = alltrue([for ports in var.ports : length(ports) > 0])
    error_message = "Each tag needs at least one port."
  }
}

variable "flow_sampling" {
  description = "Share of the subnet's flows that is logged."
  type        = number
  default     = 0.1
  validation {
    condition     = var.flow_sampling >= 0 && var.flow_sampling <= 1
    error_message = "Between 0 and 1."
  }
}
