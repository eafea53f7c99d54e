mock_provider "kubernetes" {}
mock_provider "helm" {}
mock_provider "tls" {}

override_data {
  target = data.terraform_remote_state.cluster
  values = { outputs = { kubeconfig_path = "/nowhere/kubeconfig", context = "kind-steam", node_count = 1 } }
}

run "plans" {
  command = plan
  assert {
    condition     = strcontains(output.dashboard, "port-forward") && output.mqtt_authority == null
    error_message = "without a name it is reached by port-forward; no certificate is made unasked"
  }
}

run "plant_of_ones_own" {
  command = plan
  variables { plant_file = abspath("../../../../steam/demo_plant.yaml") }
}

run "plant_is_there" {
  command = plan
  variables { plant_file = "/nowhere/plant.yaml" }
  expect_failures = [var.plant_file]
}

run "certificate" {
  command = plan
  variables { certificate_names = ["localhost", "192.0.2.7", "::1"] }
  assert {
    condition     = kubernetes_secret_v1.mqtt_tls[0].type == "kubernetes.io/tls" && tls_cert_request.broker[0].dns_names == tolist(["localhost"]) && length(tls_cert_request.broker[0].ip_addresses) == 2
    error_message = "names and addresses are told apart"
  }
}

run "certificate_is_for_names" {
  command = plan
  variables { certificate_names = ["mqtts://localhost"] }
  expect_failures = [var.certificate_names]
}
