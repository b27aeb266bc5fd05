output "coditect" {
  description = "Everything that the deployment has to say; docs/deployment.md says what for."
  value = {
    discovery         = module.coditect.discovery
    dns_records       = module.coditect.dns_records
    stripe_webhook    = module.coditect.stripe_webhook
    registry          = module.coditect.registry
    secrets_by_hand   = module.coditect.secrets_by_hand
    services          = module.coditect.services
    jobs              = module.coditect.jobs
    workload_identity = module.coditect.workload_identity
    signing_key       = module.coditect.signing_key
    runbook_sections  = module.coditect.runbook_sections
    locations         = module.coditect.locations
    rights            = module.coditect.rights
  }

  # The module's type would drop a misspelled attribute without a word, and take the default.
  precondition {
    condition     = length(setsubtract(keys(var.settings), module.coditect.settings)) == 0
    error_message = "No such setting: ${join(", ", setsubtract(keys(var.settings), module.coditect.settings))}."
  }
}
