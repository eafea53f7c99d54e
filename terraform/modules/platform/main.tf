locals {
  charts          = toset(["steam-broker", "steam-influxdb", "steam"])
  accounts        = toset(["steam-processor", "steam-notifier", "steam-panel", "steam-topology", "steam-accounts", "steam-desk", "steam-gateway"])
  influxdb_keys   = toset(["admin-password", "token"])
  broker_secret   = var.broker_existing_secret != "" ? var.broker_existing_secret : "steam-broker-accounts"
  influxdb_secret = var.influxdb_existing_secret != "" ? var.influxdb_existing_secret : "steam-influxdb-access"
  # Restarts what has read a secret when it is rotated.
  annotations = { "steam/secrets-revision" = tostring(var.secrets_revision) }
  # Of a folder the provider sees only a new version in Chart.yaml.
  contents = { for chart in local.charts : chart => "chart ${substr(sha256(join("\n", [
    for name in sort(setunion(fileset("${var.charts}/${chart}", "*.{yaml,json}"), fileset("${var.charts}/${chart}", "{templates,files}/**"))) : "${name} ${filesha256("${var.charts}/${chart}/${name}")}"
  ])), 0, 12)}" }
  given = { for chart in local.charts : chart => var.values_folder == "" ? [] : [file("${var.values_folder}/${chart}.yaml")] }
}

resource "kubernetes_namespace_v1" "this" {
  count = var.create_namespace ? 1 : 0
  metadata {
    name = var.namespace
    labels = {
      "app.kubernetes.io/part-of"          = "steam"
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

locals {
  # By way of the resource, so that everything in it comes after it.
  namespace = var.create_namespace ? kubernetes_namespace_v1.this[0].metadata[0].name : var.namespace
}

# Ephemeral and write-only: a password is in the cluster's Secret and nowhere else, not in the state.
# Letters and digits only, because they become part of AMQP addresses.
ephemeral "random_password" "broker" {
  for_each = var.broker_existing_secret == "" ? setunion(local.accounts, ["erlang-cookie"]) : []
  length   = 40
  special  = false
}

ephemeral "random_password" "influxdb" {
  for_each = var.influxdb_existing_secret == "" ? local.influxdb_keys : []
  length   = 48
  special  = false
}

resource "kubernetes_secret_v1" "broker" {
  count = var.broker_existing_secret == "" ? 1 : 0
  metadata {
    name      = local.broker_secret
    namespace = local.namespace
  }
  data_wo          = { for account in local.accounts : account => ephemeral.random_password.broker[account].result }
  data_wo_revision = var.secrets_revision
}

# Apart and never made anew: nodes of RabbitMQ restart one after the other, and know one another by it.
resource "kubernetes_secret_v1" "erlang_cookie" {
  count = var.broker_existing_secret == "" ? 1 : 0
  metadata {
    name      = "steam-broker-cookie"
    namespace = local.namespace
  }
  data_wo          = { erlang-cookie = ephemeral.random_password.broker["erlang-cookie"].result }
  data_wo_revision = 1
}

resource "kubernetes_secret_v1" "influxdb" {
  count = var.influxdb_existing_secret == "" ? 1 : 0
  metadata {
    name      = local.influxdb_secret
    namespace = local.namespace
  }
  data_wo = { for key in local.influxdb_keys : key => ephemeral.random_password.influxdb[key].result }
  # Not var.secrets_revision: InfluxDB takes its token from here only when it is first set up.
  data_wo_revision = 1
}

resource "helm_release" "broker" {
  name        = "steam-broker"
  namespace   = local.namespace
  chart       = "${var.charts}/steam-broker"
  description = local.contents["steam-broker"]
  timeout     = 900
  values = concat(local.given["steam-broker"], [yamlencode({
    existingSecret     = local.broker_secret
    erlangCookieSecret = var.broker_existing_secret == "" ? kubernetes_secret_v1.erlang_cookie[0].metadata[0].name : ""
    replicaCount       = var.broker.replicas
    gateway            = var.broker.gateway || var.simulated_devices
    podAnnotations     = local.annotations
    tools              = { image = var.image }
    mqtt = {
      tls          = { existingSecret = var.mqtt.tls_secret }
      loadBalancer = { enabled = var.mqtt.load_balancer, sourceRanges = var.mqtt.source_ranges }
    }
    persistence = { for name, value in { size = var.broker.storage, storageClassName = var.broker.storage_class_name } : name => value if value != null }
  })])
  depends_on = [kubernetes_secret_v1.broker]

  lifecycle {
    precondition {
      condition     = var.node_count == null ? true : var.broker.replicas <= var.node_count
      error_message = "broker.replicas: ${var.broker.replicas} nodes of RabbitMQ need as many nodes in the cluster."
    }
  }
}

resource "helm_release" "influxdb" {
  name        = "steam-influxdb"
  namespace   = local.namespace
  chart       = "${var.charts}/steam-influxdb"
  description = local.contents["steam-influxdb"]
  timeout     = 900
  values = concat(local.given["steam-influxdb"], [yamlencode({
    existingSecret = local.influxdb_secret
    organization   = var.influxdb.organization
    persistence    = { for name, value in { size = var.influxdb.storage, storageClassName = var.influxdb.storage_class_name } : name => value if value != null }
  })])
  depends_on = [kubernetes_secret_v1.influxdb]
}

resource "helm_release" "steam" {
  name        = "steam"
  namespace   = local.namespace
  chart       = "${var.charts}/steam"
  description = local.contents["steam"]
  timeout     = 900
  values = concat(local.given["steam"], [yamlencode({
    image         = var.image
    plant         = var.plant
    settings      = var.settings
    broker        = { host = "steam-broker", existingSecret = local.broker_secret }
    influxdb      = { url = "http://steam-influxdb:8086", organization = var.influxdb.organization, existingSecret = local.influxdb_secret }
    notifications = { existingSecret = var.notifications_existing_secret }
    processor     = { podAnnotations = local.annotations }
    notifier      = { podAnnotations = local.annotations }
    autoscaling   = { for name, value in { enabled = var.autoscaling.enabled, minReplicas = var.autoscaling.minimum, maxReplicas = var.autoscaling.maximum } : name => value if value != null }
    panel = { for name, value in {
      podAnnotations = local.annotations
      language       = var.panel.language
      replicas       = var.panel.replicas
      host           = var.panel.host
      ingress        = { enabled = var.panel.host != "", className = var.panel.ingress_class, annotations = var.panel.ingress_annotations, tlsSecret = var.panel.tls_secret }
    } : name => value if value != null }
    producer = { enabled = var.simulated_devices }
    cronJobs = { enabled = var.cron_jobs }
  })])
  depends_on = [helm_release.broker, helm_release.influxdb, helm_release.metrics_server]
}

# What the autoscaler asks; k3s brings its own, kind and DigitalOcean do not.
resource "helm_release" "metrics_server" {
  count      = var.metrics_server.install ? 1 : 0
  name       = "metrics-server"
  namespace  = "kube-system"
  repository = "https://kubernetes-sigs.github.io/metrics-server/"
  chart      = "metrics-server"
  version    = var.metrics_server.chart_version
  values     = [yamlencode({ args = var.metrics_server.kubelet_insecure_tls ? ["--kubelet-insecure-tls"] : [] })]
}
