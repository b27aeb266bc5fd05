variable "name" {
  description = "Name of the load balancer and prefix of its parts."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower case letters, digits and hyphens, at most 31."
  }
}

variable "region" {
  description = "Region of the services."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "domain" {
  description = "The host name that everything is served under."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "A host name such as api.example.com."
  }
}

variable "functions" {
  description = "Function → its service, its routes, and whether its bodies are somebody else's words that no signature may look at."
  type        = map(object({ service = string, routes = list(string), opaque_body = bool }))
  validation {
    condition     = alltrue([for it in var.functions : length(it.routes) > 0 && alltrue([for route in it.routes : can(regex("^[A-Z]+ /.*[^/]$", route))])])
    error_message = "Each function needs routes, such as POST /api/v1/licenses/acquire, without a slash at the end."
  }
  validation {
    condition     = length(distinct(flatten([for it in var.functions : it.routes]))) == length(flatten([for it in var.functions : it.routes]))
    error_message = "A route belongs to one function."
  }
}

variable "default_function" {
  description = "Who answers what nobody has."
  type        = string
  validation {
    condition     = contains(keys(var.functions), var.default_function)
    error_message = "One of the functions."
  }
}

variable "requests_per_minute" {
  description = "Requests a minute from one address. A whole office may be one address."
  type        = number
  default     = 1200
  validation {
    condition     = var.requests_per_minute >= 60 && var.requests_per_minute <= 200000
    error_message = "Between 60 and 200000."
  }
}

variable "signatures_preview" {
  description = "Whether the OWASP signatures are logged only, to see what they would refuse."
  type        = bool
  default     = false
  validation {
    condition     = var.signatures_preview != null
    error_message = "true or false."
  }
}

variable "tls_profile" {
  description = "Cipher suites: RESTRICTED (forward secrecy and AEAD alone) or MODERN. TLS 1.2 and 1.3 either way."
  type        = string
  default     = "RESTRICTED"
  validation {
    condition     = contains(["RESTRICTED", "MODERN"], var.tls_profile)
    error_message = "RESTRICTED or MODERN."
  }
}

variable "log_sampling" {
  description = "Share of requests in the load balancer's log. What Cloud Armor refuses is what it is for."
  type        = number
  default     = 0.1
  validation {
    condition     = var.log_sampling >= 0 && var.log_sampling <= 1
    error_message = "Between 0 and 1."
  }
}

variable "labels" {
  description = "Labels of the rules and the certificate."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
