mock_provider "kind" {}

run "defaults" {
  command = plan
  assert {
    condition     = kind_cluster.this.wait_for_ready && output.node_count == 1 && output.context == "kind-steam"
    error_message = "one node, waited for"
  }
}

run "workers" {
  command = plan
  variables { workers = 2 }
  assert {
    condition     = length(kind_cluster.this.kind_config[0].node) == 3
    error_message = "a control plane and two workers"
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

run "image_has_a_tag" {
  command = plan
  variables { node_image = "kindest/node" }
  expect_failures = [var.node_image]
}
