variable "environment" {
  description = "Name of the deployment; also GitHub's environment that may deploy here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.environment))
    error_message = "Lower case letters, digits and hyphens."
  }
}

variable "settings" {
  description = "Settings that differ between operators, and between their projects."
  type = object({
    # The Google Cloud project, one for each deployment.
    project_id = string
    # The region of everything that has one: services, database and backups, Redis, keys, secrets, images, logs.
    region = string
    # Where data must stay: EU, or anywhere.
    residency = optional(string, "EU")
    # Host name of the API; PUBLIC_URL is https:// and this, and tokens carry it for good.
    domain = string
    # Image of each function, and of ops, for the first revision. Empty: everything but services and jobs.
    images = optional(map(string), {})
    # Number of the repository at GitHub whose workflows may deploy: gh api repos/OWNER/NAME --jq .id
    repository_id = string
    # Number of the account that owns that repository: gh api repos/OWNER/NAME --jq .owner.id
    repository_owner_id = string
    # E-mail addresses: whom to wake (page), whom to tell (ticket).
    notify = object({ page = list(string), ticket = list(string) })
    # Where docs/runbook.md can be read; alarms link to its sections.
    runbook_url = string
    # Sender of mail.
    mail_from = optional(string, "CODITECT <no-reply@coditect.ai>")
    # Identity Platform: client ids at google.com and github.com, OpenID Connect providers, further domains; null: none.
    identity = optional(object({
      social  = optional(map(string), {})
      openid  = optional(map(object({ display_name = string, issuer = string, client_id = string })), {})
      domains = optional(list(string), [])
    }))
    # Further entries of OIDC_ISSUERS, as docs/configuration.md describes them.
    oidc_issuers = optional(list(object({
      issuer         = string
      audience       = string
      jwks_uri       = optional(string)
      user_claim     = optional(string)
      tenant_claim   = optional(string)
      tenants        = optional(list(string))
      domains        = optional(list(string))
      verified_claim = optional(string)
      trusted        = optional(bool, false)
    })), [])
    # The page where a person without an account chooses a plan; empty: none.
    register_url = optional(string, "")
    # Address of an OpenTelemetry collector (empty: no spans are sent), and the share of the requests whose spans it gets.
    traces = optional(object({ collector = string, share = number }), { collector = "", share = 0.05 })
    # Billing account, and what a month may cost; null: no budget, for an operator without rights on the account.
    budget = optional(object({ billing_account = string, monthly_amount = number, currency = string }))
    # Secret → version, where it should not be the newest: to go back, or to roll one out step by step.
    secret_versions = optional(map(string), {})
    # Whether deleting the database and the services is refused.
    deletion_protection = optional(bool, true)
  })

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.settings.project_id))
    error_message = "project_id: A project id."
  }
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.settings.region))
    error_message = "region: A region such as europe-west1."
  }
  validation {
    # London and Zürich are in Europe and not in the European Union.
    condition = var.settings.residency != "EU" || contains([
      "europe-central2", "europe-north1", "europe-north2", "europe-southwest1", "europe-west1", "europe-west3", "europe-west4",
      "europe-west8", "europe-west9", "europe-west10", "europe-west12",
    ], var.settings.region)
    error_message = "region: With residency EU, a region in the European Union: europe-west1, europe-west3, europe-west4, europe-north1, …"
  }
  validation {
    condition     = contains(["EU", "anywhere"], var.settings.residency)
    error_message = "residency: EU or anywhere."
  }
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.settings.domain))
    error_message = "domain: A host name such as api.example.com."
  }
  validation {
    condition     = length(var.settings.images) == 0 || length(setsubtract(concat(keys(local.functions), ["ops"]), keys(var.settings.images))) == 0
    error_message = "images: None, or one for every function and for ops."
  }
  validation {
    condition     = can(regex("^[0-9]+$", var.settings.repository_id))
    error_message = "repository_id: The repository's number, not its name."
  }
  validation {
    condition     = can(regex("^[0-9]+$", var.settings.repository_owner_id))
    error_message = "repository_owner_id: The owner's number, not its name."
  }
  validation {
    condition     = length(var.settings.notify.page) > 0 && length(var.settings.notify.ticket) > 0
    error_message = "notify: At least one address each."
  }
  validation {
    condition     = startswith(var.settings.runbook_url, "https://")
    error_message = "runbook_url: It begins with https://."
  }
  validation {
    condition     = can(regex("@", var.settings.mail_from))
    error_message = "mail_from: An address, with or without a name."
  }
  validation {
    condition     = var.settings.identity == null || length(try(var.settings.identity.social, {})) + length(try(var.settings.identity.openid, {})) > 0
    error_message = "identity: At least one provider."
  }
  validation {
    condition     = alltrue([for it in var.settings.oidc_issuers : startswith(it.issuer, "https://") && length(it.audience) > 0 && length(concat(coalesce(it.tenants, []), coalesce(it.domains, []))) > 0])
    error_message = "oidc_issuers: Each has an issuer, beginning with https://, an audience, and the tenants ([\"*\"] for every one) or domains that it may speak for."
  }
  validation {
    condition     = var.settings.register_url == "" || startswith(var.settings.register_url, "https://")
    error_message = "register_url: An https:// address, or nothing."
  }
  validation {
    condition     = (var.settings.traces.collector == "" || startswith(var.settings.traces.collector, "https://")) && var.settings.traces.share >= 0 && var.settings.traces.share <= 1
    error_message = "traces: An https:// address or nothing, and a share between 0 and 1."
  }
  validation {
    condition     = var.settings.budget == null || try(var.settings.budget.monthly_amount, 0) >= 1
    error_message = "budget: At least 1."
  }
  validation {
    condition     = alltrue([for version in values(var.settings.secret_versions) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "secret_versions: Numbers of versions."
  }
}

variable "identity_client_secrets" {
  description = "Client secrets of settings.identity's providers, by the same names; from the environment, not from a file."
  type        = map(string)
  default     = {}
  sensitive   = true
  validation {
    condition     = alltrue([for secret in values(var.identity_client_secrets) : length(secret) > 0])
    error_message = "None is empty."
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
