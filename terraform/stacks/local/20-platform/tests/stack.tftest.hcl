mock_provider "kubernetes" {}
mock_provider "helm" {}

override_data {
  target = data.terraform_remote_state.cluster
  values = { outputs = { kubeconfig_path = "/nowhere/kubeconfig", context = "kind-steam", node_count = 1 } }
}

run "plans" {
  command = plan
  assert {
    condition     = strcontains(output.dashboard, "port-forward")
    error_message = "without a name it is reached by port-forward"
  }
}
