resource "kind_cluster" "this" {
  name           = var.name
  node_image     = var.node_image
  wait_for_ready = true

  kind_config {
    kind        = "Cluster"
    api_version = "kind.x-k8s.io/v1alpha4"

    node {
      role = "control-plane"
      dynamic "extra_port_mappings" {
        for_each = var.mqtt_port == null ? [] : [var.mqtt_port]
        content {
          container_port = 31883
          host_port      = extra_port_mappings.value
          listen_address = "127.0.0.1"
        }
      }
    }

    dynamic "node" {
      for_each = range(var.workers)
      content {
        role = "worker"
      }
    }
  }
}
