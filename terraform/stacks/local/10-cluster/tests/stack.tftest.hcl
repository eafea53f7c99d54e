mock_provider "kind" {}

run "plans" {
  command = plan
  assert {
    condition     = output.node_count == 1
    error_message = "one node"
  }
}
