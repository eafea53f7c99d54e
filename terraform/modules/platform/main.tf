locals {
  accounts        = toset(["steam-processor", "steam-notifier", "steam-panel", "steam-topology", "steam-accounts", "steam-desk", "steam-gateway", "erlang-cookie"])
  influxdb_keys   = toset(["admin-password", "token"])
  broker_secret   = var.broker_existing_secret != "" ? var.broker_existing_secret : "steam-broker-accounts"
  influxdb_secret = var.influxdb_existing_secret != "" ? var.influxdb_existing_secret : "steam-influxdb-access"
  # Restarts what has read a secret when it is rotated.
  annotations = { "steam/secrets-revision" = tostring(var.secrets_revision) }
}

resource "kubernetes_namespace_v1" "this" {
  metadata {
    name = var.namespace
    labels = {
      "app.kubernetes.io/part-of"          = "steam"
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

# Ephemeral and write-only: a password is in the cluster's Secret and nowhere else, not in the state.
# Letters and digits only, because they become part of AMQP addresses.
ephemeral "random_password" "broker" {
  for_each = local.accounts
  length   = 40
  special  = false
}

ephemeral "random_password" "influxdb" {
  for_each = local.influxdb_keys
  length   = 48
  special  = false
}

resource "kubernetes_secret_v1" "broker" {
  count = var.broker_existing_secret == "" ? 1 : 0
  metadata {
    name      = local.broker_secret
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }
  data_wo          = { for account in local.accounts : account => ephemeral.random_password.broker[account].result }
  data_wo_revision = var.secrets_revision
}

resource "kubernetes_secret_v1" "influxdb" {
  count = var.influxdb_existing_secret == "" ? 1 : 0
  metadata {
    name      = local.influxdb_secret
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }
  data_wo = { for key in local.influxdb_keys : key => ephemeral.random_password.influxdb[key].result }
  # Not var.secrets_revision: InfluxDB takes its token from here only when it is first set up.
  data_wo_revision = 1
}

resource "helm_release" "broker" {
  name      = "steam-broker"
  namespace = kubernetes_namespace_v1.this.metadata[0].name
  chart     = "${var.charts}/steam-broker"
  timeout   = 900
  values = [yamlencode({
    existingSecret = local.broker_secret
    replicaCount   = var.broker.replicas
    gateway        = var.broker.gateway || var.simulated_devices
    podAnnotations = local.annotations
    tools          = { image = var.image }
    mqtt = {
      tls          = { existingSecret = var.mqtt.tls_secret }
      loadBalancer = { enabled = var.mqtt.load_balancer, sourceRanges = var.mqtt.source_ranges }
    }
    persistence = { size = var.broker.storage, storageClassName = var.broker.storage_class_name }
  })]
  depends_on = [kubernetes_secret_v1.broker]

  lifecycle {
    precondition {
      condition     = var.node_count == null ? true : var.broker.replicas <= var.node_count
      error_message = "broker.replicas: ${var.broker.replicas} nodes of RabbitMQ need as many nodes in the cluster."
    }
  }
}

resource "helm_release" "influxdb" {
  name      = "steam-influxdb"
  namespace = kubernetes_namespace_v1.this.metadata[0].name
  chart     = "${var.charts}/steam-influxdb"
  timeout   = 900
  values = [yamlencode({
    existingSecret = local.influxdb_secret
    organization   = var.influxdb.organization
    persistence    = { size = var.influxdb.storage, storageClassName = var.influxdb.storage_class_name }
  })]
  depends_on = [kubernetes_secret_v1.influxdb]
}

resource "helm_release" "steam" {
  name      = "steam"
  namespace = kubernetes_namespace_v1.this.metadata[0].name
  chart     = "${var.charts}/steam"
  timeout   = 900
  values = [yamlencode({
    image         = var.image
    plant         = var.plant
    settings      = var.settings
    broker        = { host = "steam-broker", existingSecret = local.broker_secret }
    influxdb      = { url = "http://steam-influxdb:8086", organization = var.influxdb.organization, existingSecret = local.influxdb_secret }
    notifications = { existingSecret = var.notifications_existing_secret }
    processor     = { podAnnotations = local.annotations }
    notifier      = { podAnnotations = local.annotations }
    autoscaling   = { enabled = var.autoscaling.enabled, minReplicas = var.autoscaling.minimum, maxReplicas = var.autoscaling.maximum }
    panel = {
      podAnnotations = local.annotations
      language       = var.panel.language
      replicas       = var.panel.replicas
      host           = var.panel.host
      ingress        = { enabled = var.panel.host != "", className = var.panel.ingress_class, tlsSecret = var.panel.tls_secret }
    }
    producer = { enabled = var.simulated_devices }
    cronJobs = { enabled = var.cron_jobs }
  })]
  depends_on = [helm_release.broker, helm_release.influxdb]
}
