terraform {
  required_version = ">= 1.11"
  required_providers {
    digitalocean = { source = "digitalocean/digitalocean", version = "~> 2.60" }
  }
}

variable "region" {
  description = "Region, such as nyc3. The token comes from the environment: DIGITALOCEAN_TOKEN."
  type        = string
}

variable "kubernetes_version_prefix" {
  description = "Minor version that a new cluster starts with, such as 1.34. with its full stop; null for the module's."
  type        = string
  default     = null
}

variable "nodes" {
  description = "Size of a node, and how many there are at least and at most."
  type        = object({ size = optional(string), minimum = optional(number), maximum = optional(number) })
  default     = {}
}

variable "api_addresses" {
  description = "Networks that may reach the Kubernetes API; empty for all."
  type        = list(string)
  default     = []
}

provider "digitalocean" {}

module "cluster" {
  source                    = "../../../modules/cluster-doks"
  region                    = var.region
  kubernetes_version_prefix = var.kubernetes_version_prefix
  nodes                     = var.nodes
  api_addresses             = var.api_addresses
}

output "cluster" {
  description = "For 20-platform."
  value = {
    id             = module.cluster.id
    name           = module.cluster.name
    endpoint       = module.cluster.endpoint
    ca_certificate = module.cluster.ca_certificate
    node_count     = module.cluster.node_count
  }
  sensitive = true
}
