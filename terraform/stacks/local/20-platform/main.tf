terraform {
  required_version = ">= 1.11"
  required_providers {
    helm       = { source = "hashicorp/helm", version = "~> 3.1" }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 3.2" }
    random     = { source = "hashicorp/random", version = "~> 3.7" }
    tls        = { source = "hashicorp/tls", version = "~> 4.1" }
  }
}

variable "plant_file" {
  description = "Path of plant.yaml; empty for the demonstration's."
  type        = string
  default     = ""
  validation {
    condition     = var.plant_file == "" ? true : try(fileexists(var.plant_file), false)
    error_message = "plant_file: there is no such file."
  }
}

variable "image" {
  description = "Steam's images; for kind load them first: kind load docker-image <registry>/processor:<tag> ..."
  type        = object({ registry = optional(string, "docker.io/steam-boilers"), tag = optional(string, "") })
  default     = {}
}

variable "settings" {
  description = "Added to steam.yaml, such as notifications."
  type        = any
  default     = {}
}

variable "certificate_names" {
  description = "Names and addresses in a certificate for MQTT over TLS, signed by an authority made for it; their private keys are then in the state. Empty for none."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for name in var.certificate_names : can(regex("^[:A-Za-z0-9]([-.:A-Za-z0-9]*[A-Za-z0-9])?$", name))])
    error_message = "certificate_names: names and addresses, such as localhost or 192.0.2.7."
  }
}

data "terraform_remote_state" "cluster" {
  backend = "local"
  config  = { path = "${path.module}/../10-cluster/terraform.tfstate" }
}

provider "kubernetes" {
  config_path    = data.terraform_remote_state.cluster.outputs.kubeconfig_path
  config_context = data.terraform_remote_state.cluster.outputs.context
}

provider "helm" {
  kubernetes = {
    config_path    = data.terraform_remote_state.cluster.outputs.kubeconfig_path
    config_context = data.terraform_remote_state.cluster.outputs.context
  }
}

module "platform" {
  source            = "../../../modules/platform"
  charts            = "${path.module}/../../../../infra/charts"
  values_folder     = "${path.module}/../../../../infra/values/local"
  plant             = file(var.plant_file != "" ? var.plant_file : "${path.module}/../../../../steam/demo_plant.yaml")
  image             = var.image
  settings          = var.settings
  mqtt              = { tls_secret = one(kubernetes_secret_v1.mqtt_tls[*].metadata[0].name) }
  simulated_devices = true
  cron_jobs         = false
  metrics_server    = { install = true, kubelet_insecure_tls = true }
  node_count        = data.terraform_remote_state.cluster.outputs.node_count
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = module.platform.dashboard
}

output "mqtt_authority" {
  description = "Certificate of the authority (PEM), for devices that connect over TLS; null without certificate_names."
  value       = one(tls_self_signed_cert.authority[*].cert_pem)
}
