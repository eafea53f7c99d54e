terraform {
  required_version = ">= 1.11"
  required_providers {
    helm       = { source = "hashicorp/helm", version = "~> 3.1" }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 3.2" }
    random     = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

variable "plant_file" {
  description = "Path of plant.yaml."
  type        = string
}

variable "image" {
  description = "Steam's images."
  type        = object({ registry = optional(string, "docker.io/steam-boilers"), tag = optional(string, "") })
  default     = {}
}

variable "mqtt_tls_secret" {
  description = "A Secret of type kubernetes.io/tls with ca.crt, such as cert-manager makes, for devices on port 8883; empty: no devices from outside yet."
  type        = string
  default     = ""
}

variable "panel_host" {
  description = "Name under which browsers reach the dashboard; empty: port-forward only."
  type        = string
  default     = ""
}

variable "panel_tls_secret" {
  description = "A Secret with the certificate for that name."
  type        = string
  default     = ""
}

variable "settings" {
  description = "Added to steam.yaml, such as notifications."
  type        = any
  default     = {}
}

variable "notifications_existing_secret" {
  description = "A Secret with the addresses that settings.notifications names."
  type        = string
  default     = ""
}

variable "secrets_revision" {
  description = "Raise it by one for new passwords."
  type        = number
  default     = 1
}

data "terraform_remote_state" "cluster" {
  backend = "local"
  config  = { path = "${path.module}/../10-cluster/terraform.tfstate" }
}

locals {
  cluster = data.terraform_remote_state.cluster.outputs.cluster
  # A token for the moment, from doctl: none is kept in a state.
  credentials = {
    api_version = "client.authentication.k8s.io/v1beta1"
    command     = "doctl"
    args        = ["kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", local.cluster.id]
  }
}

provider "kubernetes" {
  host                   = local.cluster.endpoint
  cluster_ca_certificate = local.cluster.ca_certificate
  exec {
    api_version = local.credentials.api_version
    command     = local.credentials.command
    args        = local.credentials.args
  }
}

provider "helm" {
  kubernetes = {
    host                   = local.cluster.endpoint
    cluster_ca_certificate = local.cluster.ca_certificate
    exec                   = local.credentials
  }
}

module "platform" {
  source                        = "../../../modules/platform"
  charts                        = "${path.module}/../../../../infra/charts"
  plant                         = file(var.plant_file)
  image                         = var.image
  settings                      = var.settings
  notifications_existing_secret = var.notifications_existing_secret
  secrets_revision              = var.secrets_revision
  broker                        = { replicas = 3, storage = "20Gi" }
  influxdb                      = { storage = "200Gi" }
  mqtt                          = { load_balancer = var.mqtt_tls_secret != "", tls_secret = var.mqtt_tls_secret }
  panel                         = { replicas = 2, host = var.panel_host, tls_secret = var.panel_tls_secret }
  node_count                    = local.cluster.node_count
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = module.platform.dashboard
}
