data "digitalocean_kubernetes_versions" "this" {
  version_prefix = var.kubernetes_version_prefix
}

resource "digitalocean_vpc" "this" {
  name     = var.name
  region   = var.region
  ip_range = var.ip_range
}

resource "digitalocean_kubernetes_cluster" "this" {
  name                 = var.name
  region               = var.region
  version              = data.digitalocean_kubernetes_versions.this.latest_version
  vpc_uuid             = digitalocean_vpc.this.id
  ha                   = var.highly_available
  auto_upgrade         = true
  surge_upgrade        = true
  registry_integration = false

  maintenance_policy {
    day        = "sunday"
    start_time = "05:00"
  }

  dynamic "control_plane_firewall" {
    for_each = length(var.api_addresses) > 0 ? [var.api_addresses] : []
    content {
      enabled           = true
      allowed_addresses = control_plane_firewall.value
    }
  }

  node_pool {
    name       = "${var.name}-nodes"
    size       = var.nodes.size
    auto_scale = true
    min_nodes  = var.nodes.minimum
    max_nodes  = var.nodes.maximum
  }

  lifecycle {
    # Patches come by themselves, on Sundays; a minor version is a decision (README).
    ignore_changes = [version]
  }
}
