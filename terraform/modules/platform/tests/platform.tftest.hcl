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
    condition     = length(yamldecode(helm_release.steam.values[0]).autoscaling) == 0 && length(helm_release.metrics_server) == 0
    error_message = "the autoscaler is as the chart has it"
  }
  assert {
    condition     = kubernetes_namespace_v1.this[0].metadata[0].labels["pod-security.kubernetes.io/enforce"] == "restricted"
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
    condition     = length(concat(kubernetes_secret_v1.broker, kubernetes_secret_v1.erlang_cookie, kubernetes_secret_v1.influxdb)) == 0
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
    condition     = kubernetes_secret_v1.erlang_cookie[0].data_wo_revision == 1 && yamldecode(helm_release.broker.values[0]).erlangCookieSecret == "steam-broker-cookie"
    error_message = "nodes that restart one after the other keep their cookie"
  }
  assert {
    condition     = yamldecode(helm_release.broker.values[0]).podAnnotations["steam/secrets-revision"] == "2"
    error_message = "what uses them is restarted"
  }
}

run "nothing_secret_is_kept" {
  assert {
    condition = alltrue([for secret in concat(kubernetes_secret_v1.broker, kubernetes_secret_v1.erlang_cookie, kubernetes_secret_v1.influxdb) :
    secret.data_wo == null && length(secret.data) == 0 && secret.binary_data == null])
    error_message = "a password is in the state"
  }
  assert {
    condition = alltrue([for release in [helm_release.broker, helm_release.influxdb, helm_release.steam] :
    release.set == null && release.set_sensitive == null && length(release.values) == 1])
    error_message = "a release takes values only, which name Secrets"
  }
}

run "namespace_that_is_there" {
  command = plan
  variables {
    create_namespace = false
    namespace        = "boilers"
  }
  assert {
    condition     = length(kubernetes_namespace_v1.this) == 0 && helm_release.steam.namespace == "boilers" && output.namespace == "boilers"
    error_message = "it is used and not made"
  }
}

run "values_of_a_target" {
  command = plan
  variables {
    values_folder = "../../../infra/values/edge"
    autoscaling   = { minimum = 2 }
  }
  assert {
    condition     = yamldecode(helm_release.steam.values[0]).autoscaling.maxReplicas == 2 && yamldecode(helm_release.steam.values[1]).autoscaling == { minReplicas = 2 }
    error_message = "an input goes before the target's values, and only where it is given"
  }
}

run "metrics_server" {
  command = plan
  variables { metrics_server = { install = true, kubelet_insecure_tls = true } }
  assert {
    condition     = helm_release.metrics_server[0].namespace == "kube-system" && yamldecode(helm_release.metrics_server[0].values[0]).args == ["--kubelet-insecure-tls"]
    error_message = "the autoscaler needs metrics"
  }
}

run "chart_that_changes_is_installed_anew" {
  command = plan
  assert {
    condition     = can(regex("^chart [0-9a-f]{12}$", helm_release.steam.description)) && helm_release.steam.description != helm_release.broker.description
    error_message = "the description is of the chart's contents"
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

run "charts_are_there" {
  command = plan
  variables { charts = "tests" }
  expect_failures = [var.charts]
}

run "values_are_there" {
  command = plan
  variables { values_folder = "tests" }
  expect_failures = [var.values_folder]
}

run "settings_leave_the_chart_its_own" {
  command = plan
  variables { settings = { amqp = {} } }
  expect_failures = [var.settings]
}

run "settings_are_a_map" {
  command = plan
  variables { settings = "none" }
  expect_failures = [var.settings]
}

run "broker_secret_is_a_name" {
  command = plan
  variables { broker_existing_secret = "My Secret" }
  expect_failures = [var.broker_existing_secret]
}

run "influxdb_secret_is_a_name" {
  command = plan
  variables { influxdb_existing_secret = "My Secret" }
  expect_failures = [var.influxdb_existing_secret]
}

run "notifications_secret_is_a_name" {
  command = plan
  variables { notifications_existing_secret = "https://example.org" }
  expect_failures = [var.notifications_existing_secret]
}

run "panels_are_few" {
  command = plan
  variables { panel = { replicas = 9 } }
  expect_failures = [var.panel]
}

run "metrics_server_has_a_version" {
  command = plan
  variables { metrics_server = { chart_version = "latest" } }
  expect_failures = [var.metrics_server]
}

run "node_count_is_whole" {
  command = plan
  variables { node_count = 0 }
  expect_failures = [var.node_count]
}
