variable "name" {
  description = "What the budget is called."
  type        = string
  validation {
    condition     = length(var.name) >= 1 && length(var.name) <= 60
    error_message = "1 to 60 characters."
  }
}

variable "billing_account" {
  description = "The billing account."
  type        = string
  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "Such as 012345-6789AB-CDEF01."
  }
}

variable "project_number" {
  description = "Number of the project that is watched."
  type        = string
  validation {
    condition     = length(var.project_number) > 0
    error_message = "The project's number."
  }
}

variable "monthly_amount" {
  description = "What a month may cost, in whole units of the currency."
  type        = number
  validation {
    condition     = var.monthly_amount >= 1 && floor(var.monthly_amount) == var.monthly_amount
    error_message = "A whole number."
  }
}

variable "currency" {
  description = "The billing account's currency."
  type        = string
  validation {
    condition     = can(regex("^[A-Z]{3}$", var.currency))
    error_message = "Three letters, such as EUR."
  }
}

variable "channels" {
  description = "Whom to tell; at most five."
  type        = list(string)
  validation {
    condition     = length(var.channels) <= 5
    error_message = "At most five."
  }
}
