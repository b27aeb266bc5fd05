variable "name" {
  description = "Name of the key ring. Key rings can never be deleted, nor their names used again."
  type        = string
  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,63}$", var.name))
    error_message = "Letters, digits, hyphens and underscores."
  }
}

variable "region" {
  description = "Location of the key ring."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region such as europe-west1; not a multi-region."
  }
}

variable "protection_level" {
  description = "SOFTWARE, or HSM (FIPS 140-2 level 3, dearer). It is fixed when a version is made."
  type        = string
  validation {
    condition     = contains(["SOFTWARE", "HSM"], var.protection_level)
    error_message = "SOFTWARE or HSM."
  }
}

variable "versions" {
  description = "How many versions the key has. One more is the beginning of a rotation."
  type        = number
  default     = 1
  validation {
    condition     = var.versions >= 1 && floor(var.versions) == var.versions
    error_message = "A whole number, 1 or more."
  }
}

variable "current_version" {
  description = "The version that signs."
  type        = number
  default     = 1
  validation {
    condition     = var.current_version >= 1 && var.current_version <= var.versions && !contains(var.disabled_versions, var.current_version)
    error_message = "One of the versions that are there and enabled."
  }
}

variable "disabled_versions" {
  description = "Versions that are out of use. Disabling can be undone, destroying can't."
  type        = set(number)
  default     = []
  validation {
    condition     = alltrue([for number in var.disabled_versions : number >= 1])
    error_message = "Numbers of versions."
  }
}

variable "signers" {
  description = "Function → service account that may sign."
  type        = map(string)
  validation {
    condition     = length(var.signers) > 0
    error_message = "Somebody has to sign."
  }
}

variable "labels" {
  description = "Labels of the key."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for key in keys(var.labels) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "Keys of lower case letters, digits, hyphens and underscores."
  }
}
