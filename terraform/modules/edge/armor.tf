# Cloud Armor. Two policies: one that reads requests, and one for functions whose bodies are signed or written by others.

locals {
  # Sensitivity 1 has the signatures that mistake almost nothing.
  signatures = {
    1000 = "sqli-v33-stable"
    1010 = "xss-v33-stable"
    1020 = "lfi-v33-stable"
    1030 = "rfi-v33-stable"
    1040 = "rce-v33-stable"
    1050 = "protocolattack-v33-stable"
    1060 = "scannerdetection-v33-stable"
    1070 = "sessionfixation-v33-stable"
  }
}

resource "google_compute_security_policy" "guarded" {
  name        = "${var.name}-guarded"
  description = "Rate limit and OWASP signatures"
  type        = "CLOUD_ARMOR"

  advanced_options_config {
    json_parsing = "STANDARD"
    log_level    = "NORMAL"
  }

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true
    }
  }

  dynamic "rule" {
    for_each = local.signatures
    content {
      description = rule.value
      action      = "deny(403)"
      priority    = rule.key
      preview     = var.signatures_preview
      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.value}', {'sensitivity': 1})"
        }
      }
    }
  }

  rule {
    description = "Attacks of the day, Log4j's among them"
    action      = "deny(403)"
    priority    = 900
    match {
      expr {
        expression = "evaluatePreconfiguredExpr('cve-canary')"
      }
    }
  }

  rule {
    description = "Requests of one address"
    action      = "throttle"
    priority    = 2000
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Everything else"
    action      = "allow"
    priority    = 2147483647
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

# Stripe signs the bytes of its body, and developers' notes may well be SQL or HTML: signatures that look for such things
# would refuse what is right. Here the functions' own checks count, and the rate limit.
resource "google_compute_security_policy" "opaque" {
  #checkov:skip=CKV_GCP_73:Nothing here looks at bodies on purpose, and no function runs Java.
  name        = "${var.name}-opaque"
  description = "Rate limit alone: bodies are not looked at"
  type        = "CLOUD_ARMOR"

  rule {
    description = "Requests of one address"
    action      = "throttle"
    priority    = 2000
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        # Stripe calls from a dozen addresses, and a renewal day is a burst.
        count        = var.requests_per_minute * 5
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Everything else"
    action      = "allow"
    priority    = 2147483647
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
