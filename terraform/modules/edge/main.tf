# The only way in: a global HTTPS load balancer that knows which path is whose.

resource "google_compute_global_address" "this" {
  name = var.name
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = var.functions

  name                  = "${var.name}-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.value.service
  }
}

resource "google_compute_backend_service" "function" {
  for_each = var.functions

  name                  = "${var.name}-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = each.value.opaque_body ? google_compute_security_policy.opaque.id : google_compute_security_policy.guarded.id
  # Kept for browsers that see the discovery document; the command line is never redirected.
  custom_response_headers = ["Strict-Transport-Security: max-age=31536000; includeSubDomains"]

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = var.log_sampling
  }
}

locals {
  all = flatten([for name in sort(keys(var.functions)) : [
    for route in var.functions[name].routes : { function = name, method = split(" ", route)[0], path = split(" ", route)[1] }
  ]])
  routes = [for route in local.all : merge(route, {
    shared = length(distinct([for other in local.all : other.function if other.path == route.path])) > 1
  })]
}

resource "google_compute_url_map" "this" {
  name = var.name
  # A function answers unknown paths too, so that the answer is a problem document like any other.
  default_service = google_compute_backend_service.function[var.default_function].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.function[var.default_function].id

    dynamic "route_rules" {
      for_each = local.routes
      content {
        priority = route_rules.key + 1
        service  = google_compute_backend_service.function[route_rules.value.function].id

        # A trailing slash is forgiven, as the functions themselves forgive it.
        dynamic "match_rules" {
          for_each = [route_rules.value.path, "${route_rules.value.path}/"]
          content {
            full_path_match = match_rules.value

            # Only where two functions share a path: a function answers its own wrong methods itself.
            dynamic "header_matches" {
              for_each = route_rules.value.shared ? [route_rules.value.method] : []
              content {
                header_name = ":method"
                exact_match = header_matches.value
              }
            }
          }
        }
      }
    }
  }
}

resource "google_compute_target_https_proxy" "this" {
  name            = var.name
  url_map         = google_compute_url_map.this.id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.this.id}"
  ssl_policy      = google_compute_ssl_policy.this.id
  quic_override   = "ENABLE"
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "${var.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this.id
  labels                = var.labels
}

# Plain HTTP is redirected to HTTPS.
resource "google_compute_url_map" "redirect" {
  name = "${var.name}-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "${var.name}-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "${var.name}-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
  labels                = var.labels
}
