mock_provider "kubernetes" {}
mock_provider "helm" {}

variables {
  charts = "../../../infra/charts"
  plant  = "sites: [{name: mill}]"
}

run "defaults" {
  command = plan
  assert {
    condition     = length(kubernetes_secret_v1.broker) == 1 && length(kubernetes_secret_v1.influxdb) == 1
    error_message = "passwords are made where none are given"
  }
  assert {
    condition     = kubernetes_secret_v1.broker[0].data_wo == null && kubernetes_secret_v1.broker[0].data_wo_revision == 1
    error_message = "a password would be in the state"
  }
  assert {
    condition     = yamldecode(helm_release.steam.values[0]).autoscaling.maxReplicas == 4
    error_message = "the autoscaler goes up to 4"
  }
  assert {
    condition     = kubernetes_namespace_v1.this.metadata[0].labels["pod-security.kubernetes.io/enforce"] == "restricted"
    error_message = "pods are restricted"
  }
}

run "existing_secrets" {
  command = plan
  variables {
    broker_existing_secret   = "mine"
    influxdb_existing_secret = "mine-too"
  }
  assert {
    condition     = length(kubernetes_secret_v1.broker) == 0 && length(kubernetes_secret_v1.influxdb) == 0
    error_message = "no password is made where one is given"
  }
  assert {
    condition     = yamldecode(helm_release.steam.values[0]).broker.existingSecret == "mine"
    error_message = "Steam uses the secret that is given"
  }
}

run "rotation" {
  command = plan
  variables { secrets_revision = 2 }
  assert {
    condition     = kubernetes_secret_v1.broker[0].data_wo_revision == 2 && kubernetes_secret_v1.influxdb[0].data_wo_revision == 1
    error_message = "the broker's passwords are made anew, the database's token is not"
  }
  assert {
    condition     = yamldecode(helm_release.broker.values[0]).podAnnotations["steam/secrets-revision"] == "2"
    error_message = "what uses them is restarted"
  }
}

run "simulated_devices" {
  command = plan
  variables { simulated_devices = true }
  assert {
    condition     = yamldecode(helm_release.broker.values[0]).gateway && yamldecode(helm_release.steam.values[0]).producer.enabled
    error_message = "simulated devices need the gateway's account"
  }
}

run "namespace_is_a_name" {
  command = plan
  variables { namespace = "Steam!" }
  expect_failures = [var.namespace]
}

run "plant_is_yaml_with_sites" {
  command = plan
  variables { plant = "boilers: []" }
  expect_failures = [var.plant]
}

run "revision_is_whole" {
  command = plan
  variables { secrets_revision = 1.5 }
  expect_failures = [var.secrets_revision]
}

run "two_brokers_make_no_quorum" {
  command = plan
  variables { broker = { replicas = 2 } }
  expect_failures = [var.broker]
}

run "broker_storage_has_a_unit" {
  command = plan
  variables { broker = { storage = "10" } }
  expect_failures = [var.broker]
}

run "devices_from_outside_need_tls" {
  command = plan
  variables { mqtt = { load_balancer = true } }
  expect_failures = [var.mqtt]
}

run "source_range_is_a_network" {
  command = plan
  variables { mqtt = { source_ranges = ["everywhere"] } }
  expect_failures = [var.mqtt]
}

run "influxdb_storage_has_a_unit" {
  command = plan
  variables { influxdb = { storage = "much" } }
  expect_failures = [var.influxdb]
}

run "minimum_is_not_above_maximum" {
  command = plan
  variables { autoscaling = { minimum = 3, maximum = 2 } }
  expect_failures = [var.autoscaling]
}

run "language_is_known" {
  command = plan
  variables { panel = { language = "de" } }
  expect_failures = [var.panel]
}

run "certificate_needs_a_name" {
  command = plan
  variables { panel = { tls_secret = "x" } }
  expect_failures = [var.panel]
}

run "three_brokers_need_three_nodes" {
  command = plan
  variables {
    broker     = { replicas = 3 }
    node_count = 1
  }
  expect_failures = [helm_release.broker]
}
