mock_provider "digitalocean" {
  mock_data "digitalocean_kubernetes_versions" {
    defaults = { latest_version = "1.34.2-do.0" }
  }
}

variables {
  region = "nyc3"
}

run "defaults" {
  command = plan
  assert {
    condition     = digitalocean_kubernetes_cluster.this.version == "1.34.2-do.0" && output.node_count == 3
    error_message = "the newest patch, three nodes"
  }
  assert {
    condition     = digitalocean_kubernetes_cluster.this.node_pool[0].auto_scale && length(digitalocean_kubernetes_cluster.this.control_plane_firewall) == 0
    error_message = "nodes come and go; the API is open to all by default"
  }
}

run "api_for_some" {
  command = plan
  variables { api_addresses = ["198.51.100.0/24"] }
  assert {
    condition     = digitalocean_kubernetes_cluster.this.control_plane_firewall[0].enabled
    error_message = "the API is closed to others"
  }
}

run "region_is_a_region" {
  command = plan
  variables { region = "Sao Paulo" }
  expect_failures = [var.region]
}

run "prefix_ends_with_a_full_stop" {
  command = plan
  variables { kubernetes_version_prefix = "1.3" }
  expect_failures = [var.kubernetes_version_prefix]
}

run "minimum_is_not_above_maximum" {
  command = plan
  variables { nodes = { minimum = 6 } }
  expect_failures = [var.nodes]
}

run "network_is_large_enough" {
  command = plan
  variables { ip_range = "10.0.0.0/28" }
  expect_failures = [var.ip_range]
}

run "api_addresses_are_networks" {
  command = plan
  variables { api_addresses = ["office"] }
  expect_failures = [var.api_addresses]
}

run "name_is_a_name" {
  command = plan
  variables { name = "My Cluster" }
  expect_failures = [var.name]
}
