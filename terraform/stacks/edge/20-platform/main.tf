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

provider "kubernetes" {
  config_path = var.kubeconfig
}

provider "helm" {
  kubernetes = { config_path = var.kubeconfig }
}

module "platform" {
  source      = "../../../modules/platform"
  charts      = "${path.module}/../../../../infra/charts"
  plant       = file(var.plant_file)
  image       = var.image
  settings    = var.settings
  broker      = { storage = "8Gi", storage_class_name = "local-path" }
  influxdb    = { storage = "32Gi", storage_class_name = "local-path" }
  mqtt        = { load_balancer = var.mqtt_tls_secret != "", tls_secret = var.mqtt_tls_secret }
  autoscaling = { maximum = 2 }
  node_count  = 1
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = module.platform.dashboard
}
