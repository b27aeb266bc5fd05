variable "name" {
  description = "Name of the repository."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,62}$", var.name))
    error_message = "Lower case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Location of the repository."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1."
  }
}

variable "keep" {
  description = "Newest versions of each image that are kept, however old: what can be rolled back to."
  type        = number
  default     = 10
  validation {
    condition     = var.keep >= 3
    error_message = "At least 3."
  }
}

variable "delete_after_days" {
  description = "Age from which the others are deleted."
  type        = number
  default     = 30
  validation {
    condition     = var.delete_after_days >= 1
    error_message = "At least 1."
  }
}

variable "labels" {
  description = "Labels of the repository."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
