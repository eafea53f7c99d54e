mock_provider "kubernetes" {}
mock_provider "helm" {}

override_data {
  target = data.terraform_remote_state.cluster
  values = { outputs = { cluster = { id = "1", name = "steam", endpoint = "https://192.0.2.1", ca_certificate = "PEM", node_count = 3 } } }
}

variables {
  plant_file = "../../../../steam/demo_plant.yaml"
}

run "plant_is_there" {
  command = plan
  variables { plant_file = "/nowhere/plant.yaml" }
  expect_failures = [var.plant_file]
}

run "plans" {
  command = plan
  variables {
    mqtt_tls_secret  = "steam-mqtt-tls"
    panel_host       = "steam.example.org"
    panel_tls_secret = "steam-panel-tls"
  }
  assert {
    condition     = output.dashboard == "https://steam.example.org/"
    error_message = "the dashboard has its name"
  }
}
