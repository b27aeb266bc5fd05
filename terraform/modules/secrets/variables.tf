variable "region" {
  description = "The only place where the secrets are kept."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "readers" {
  description = "Secret → who may read it: function or job → service account."
  type        = map(map(string))
  validation {
    condition     = alltrue([for name in keys(var.readers) : can(regex("^[a-z][a-z0-9-]*$", name))])
    error_message = "Names of lower case letters, digits and hyphens."
  }
}

variable "made" {
  description = "Secrets whose values Terraform makes."
  type        = set(string)
  validation {
    condition     = length(setsubtract(var.made, keys(var.readers))) == 0
    error_message = "Each must be among the readers' secrets."
  }
}

variable "values" {
  description = "Values of those."
  type        = map(string)
  sensitive   = true
  validation {
    condition     = alltrue([for value in values(var.values) : length(value) > 0])
    error_message = "No value is empty."
  }
}

variable "labels" {
  description = "Labels of the secrets."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
