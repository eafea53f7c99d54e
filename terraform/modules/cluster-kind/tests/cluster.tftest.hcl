mock_provider "kind" {}

run "defaults" {
  command = plan
  assert {
    condition     = kind_cluster.this.wait_for_ready && output.node_count == 1 && output.context == "kind-steam"
    error_message = "one node, waited for"
  }
}

run "workers_and_a_port" {
  command = plan
  variables {
    workers   = 2
    mqtt_port = 1883
  }
  assert {
    condition     = length(kind_cluster.this.kind_config[0].node) == 3
    error_message = "a control plane and two workers"
  }
  assert {
    condition     = kind_cluster.this.kind_config[0].node[0].extra_port_mappings[0].listen_address == "127.0.0.1"
    error_message = "the port is this machine's alone"
  }
}

run "name_is_a_name" {
  command = plan
  variables { name = "My Cluster" }
  expect_failures = [var.name]
}

run "workers_are_few" {
  command = plan
  variables { workers = 50 }
  expect_failures = [var.workers]
}

run "port_needs_no_root" {
  command = plan
  variables { mqtt_port = 80 }
  expect_failures = [var.mqtt_port]
}
