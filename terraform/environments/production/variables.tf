# Given in terraform.tfvars, of which terraform.tfvars.example is one.

variable "settings" {
  description = "Settings that differ between operators, and between their projects: modules/deployment/variables.tf declares and checks them."
  type        = any
}

variable "identity_client_secrets" {
  description = "Client secrets of settings.identity's providers, by the same names; from the environment, not from a file."
  type        = map(string)
  default     = {}
  sensitive   = true
}
