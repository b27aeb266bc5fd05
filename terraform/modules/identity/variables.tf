variable "project_id" {
  description = "The project, which is the audience of the ID tokens."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id."
  }
}

variable "domains" {
  description = "Domains that people may sign in from."
  type        = list(string)
  validation {
    condition     = length(var.domains) > 0 && alltrue([for domain in var.domains : !startswith(domain, "http")])
    error_message = "At least one, without https://."
  }
}

variable "social" {
  description = "Client ids at google.com and github.com, by those names."
  type        = map(string)
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.social), ["google.com", "github.com"])) == 0
    error_message = "google.com or github.com."
  }
}

variable "openid" {
  description = "Companies' OpenID Connect providers, by a name of ours."
  type        = map(object({ display_name = string, issuer = string, client_id = string }))
  default     = {}
  validation {
    condition     = alltrue([for name, it in var.openid : can(regex("^[a-z][a-z0-9-]{2,27}$", name)) && startswith(it.issuer, "https://")])
    error_message = "Names of lower case letters, digits and hyphens; issuers begin with https://."
  }
}

variable "client_secrets" {
  description = "Client secrets of all of them, by the same names."
  type        = map(string)
  default     = {}
  sensitive   = true
  validation {
    condition     = length(setsubtract(concat(keys(var.social), keys(var.openid)), keys(var.client_secrets))) == 0
    error_message = "Each provider needs its client secret."
  }
}
