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
  default     = "../../../../steam/demo_plant.yaml"
}

variable "image" {
  description = "Steam's images; for kind load them first: kind load docker-image <registry>/processor:<tag> ..."
  type        = object({ registry = optional(string, "docker.io/steam-boilers"), tag = optional(string, "") })
  default     = {}
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
  plant             = file("${path.module}/${var.plant_file}")
  image             = var.image
  simulated_devices = true
  cron_jobs         = false
  broker            = { storage = "2Gi" }
  influxdb          = { storage = "5Gi" }
  node_count        = data.terraform_remote_state.cluster.outputs.node_count
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = module.platform.dashboard
}
