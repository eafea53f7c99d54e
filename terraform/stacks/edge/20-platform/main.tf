terraform {
  required_version = ">= 1.11"
  required_providers {
    helm       = { source = "hashicorp/helm", version = "~> 3.1" }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 3.2" }
    random     = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

variable "kubeconfig" {
  description = "What 10-cluster's kubeconfig_command wrote."
  type        = string
  default     = "../10-cluster/kubeconfig"
}

variable "plant_file" {
  description = "Path of plant.yaml."
  type        = string
  validation {
    condition     = try(fileexists(var.plant_file), false)
    error_message = "plant_file: there is no such file."
  }
}

variable "image" {
  description = "Steam's images, for arm64."
  type        = object({ registry = optional(string, "docker.io/steam-boilers"), tag = optional(string, "") })
  default     = {}
}

variable "mqtt_tls_secret" {
  description = "A Secret with the certificate for devices on port 8883; empty: no devices from outside yet."
  type        = string
  default     = ""
}

variable "settings" {
  description = "Added to steam.yaml, such as notifications."
  type        = any
  default     = {}
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

variable "notifications_existing_secret" {
  description = "A Secret with the addresses that settings.notifications names."
  type        = string
  default     = ""
}

variable "secrets_revision" {
  description = "Raise it by one for new passwords of the broker's accounts."
  type        = number
  default     = 1
}

variable "create_namespace" {
  description = "Make the namespace steam; false where it is there, with Secrets of yours."
  type        = bool
  default     = true
}

variable "broker_existing_secret" {
  description = "A Secret with the broker's passwords, instead of generated ones."
  type        = string
  default     = ""
}

variable "influxdb_existing_secret" {
  description = "A Secret with InfluxDB's admin-password and token, instead of generated ones."
  type        = string
  default     = ""
}

provider "kubernetes" {
  config_path = var.kubeconfig
}

provider "helm" {
  kubernetes = { config_path = var.kubeconfig }
}

module "platform" {
  source                        = "../../../modules/platform"
  charts                        = "${path.module}/../../../../infra/charts"
  values_folder                 = "${path.module}/../../../../infra/values/edge"
  plant                         = file(var.plant_file)
  image                         = var.image
  settings                      = var.settings
  notifications_existing_secret = var.notifications_existing_secret
  secrets_revision              = var.secrets_revision
  create_namespace              = var.create_namespace
  broker_existing_secret        = var.broker_existing_secret
  influxdb_existing_secret      = var.influxdb_existing_secret
  panel                         = { host = var.panel_host, tls_secret = var.panel_tls_secret }
  mqtt                          = { load_balancer = var.mqtt_tls_secret != "", tls_secret = var.mqtt_tls_secret }
  node_count                    = 1
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = module.platform.dashboard
}
