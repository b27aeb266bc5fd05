# Settings of every deployment.

variable "environment" {
  description = "Name of the deployment; also GitHub's environment that may deploy here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.environment))
    error_message = "Lower case letters, digits and hyphens."
  }
}

variable "project_id" {
  description = "The Google Cloud project, one for each deployment."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id."
  }
}

variable "residency" {
  description = "Where data must stay: EU, or anywhere."
  type        = string
  default     = "EU"
  validation {
    condition     = contains(["EU", "anywhere"], var.residency)
    error_message = "EU or anywhere."
  }
}

variable "region" {
  description = "The region of everything that has one: services, database and backups, Redis, keys, secrets, images, logs."
  type        = string
  validation {
    # London and Zürich are in Europe and not in the European Union.
    condition = var.residency != "EU" || contains([
      "europe-central2", "europe-north1", "europe-north2", "europe-southwest1", "europe-west1", "europe-west3", "europe-west4",
      "europe-west8", "europe-west9", "europe-west10", "europe-west12",
    ], var.region)
    error_message = "With residency EU, a region in the European Union: europe-west1, europe-west3, europe-west4, europe-north1, …"
  }
}

variable "domain" {
  description = "Host name of the API; PUBLIC_URL is https:// and this, and tokens carry it for good."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "A host name such as api.example.com."
  }
}

variable "images" {
  description = "Image of each function, and of ops, for the first revision. Empty: everything but services and jobs."
  type        = map(string)
  default     = {}
  validation {
    condition     = length(var.images) == 0 || length(setsubtract(concat(keys(local.functions), ["ops"]), keys(var.images))) == 0
    error_message = "None, or one for every function and for ops."
  }
}

variable "repository_id" {
  description = "Number of the repository at GitHub whose workflows may deploy: gh api repos/OWNER/NAME --jq .id"
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.repository_id))
    error_message = "The repository's number, not its name."
  }
}

variable "repository_owner_id" {
  description = "Number of the account that owns that repository: gh api repos/OWNER/NAME --jq .owner.id"
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.repository_owner_id))
    error_message = "The owner's number, not its name."
  }
}

variable "notify" {
  description = "E-mail addresses: whom to wake (page), whom to tell (ticket)."
  type        = object({ page = list(string), ticket = list(string) })
  validation {
    condition     = length(var.notify.page) > 0 && length(var.notify.ticket) > 0
    error_message = "At least one address each."
  }
}

variable "runbook_url" {
  description = "Where docs/runbook.md can be read; alarms link to its sections."
  type        = string
  validation {
    condition     = startswith(var.runbook_url, "https://")
    error_message = "It begins with https://."
  }
}

variable "mail_from" {
  description = "Sender of mail."
  type        = string
  default     = "CODITECT <no-reply@coditect.ai>"
  validation {
    condition     = can(regex("@", var.mail_from))
    error_message = "An address, with or without a name."
  }
}

variable "identity" {
  description = "Identity Platform: client ids at google.com and github.com, OpenID Connect providers, further domains; null: none."
  type = object({
    social  = optional(map(string), {})
    openid  = optional(map(object({ display_name = string, issuer = string, client_id = string })), {})
    domains = optional(list(string), [])
  })
  default = null
  validation {
    condition     = var.identity == null || length(try(var.identity.social, {})) + length(try(var.identity.openid, {})) > 0
    error_message = "At least one provider."
  }
}

variable "identity_client_secrets" {
  description = "Client secrets of those providers, by the same names; from the environment, not from a file."
  type        = map(string)
  default     = {}
  sensitive   = true
  validation {
    condition     = alltrue([for secret in values(var.identity_client_secrets) : length(secret) > 0])
    error_message = "None is empty."
  }
}

variable "oidc_issuers" {
  description = "Further entries of OIDC_ISSUERS, as docs/configuration.md describes them."
  type = list(object({
    issuer         = string
    audience       = string
    jwks_uri       = optional(string)
    user_claim     = optional(string)
    tenant_claim   = optional(string)
    tenants        = optional(list(string))
    domains        = optional(list(string))
    verified_claim = optional(string)
    trusted        = optional(bool, false)
  }))
  default = []
  validation {
    condition     = alltrue([for it in var.oidc_issuers : startswith(it.issuer, "https://") && length(it.audience) > 0 && length(concat(coalesce(it.tenants, []), coalesce(it.domains, []))) > 0])
    error_message = "Each has an issuer, beginning with https://, an audience, and the tenants ([\"*\"] for every one) or domains that it may speak for."
  }
}

variable "register_url" {
  description = "The page where a person without an account chooses a plan; empty: none."
  type        = string
  default     = ""
  validation {
    condition     = var.register_url == "" || startswith(var.register_url, "https://")
    error_message = "An https:// address, or nothing."
  }
}

variable "traces" {
  description = "Where spans are sent, an OpenTelemetry collector's https:// address (empty: nowhere), and of which share of the requests."
  type        = object({ collector = string, share = number })
  default     = { collector = "", share = 0.05 }
  validation {
    condition     = (var.traces.collector == "" || startswith(var.traces.collector, "https://")) && var.traces.share >= 0 && var.traces.share <= 1
    error_message = "An https:// address or nothing, and a share between 0 and 1."
  }
}

variable "budget" {
  description = "Billing account, and what a month may cost; null: no budget, for who has no rights on the account."
  type        = object({ billing_account = string, monthly_amount = number, currency = string })
  default     = null
  validation {
    condition     = var.budget == null || try(var.budget.monthly_amount, 0) >= 1
    error_message = "At least 1."
  }
}

variable "secret_versions" {
  description = "Secret → version, where it should not be the newest: to go back, or to roll one out step by step."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for version in values(var.secret_versions) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "Numbers of versions."
  }
}

variable "password_generation" {
  description = "Another number makes new database passwords; docs/deployment.md says what to run then."
  type        = number
  default     = 1
  validation {
    condition     = var.password_generation >= 1
    error_message = "1 or more."
  }
}
