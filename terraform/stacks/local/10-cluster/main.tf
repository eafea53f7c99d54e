terraform {
  required_version = ">= 1.11"
  required_providers {
    kind = { source = "tehcyx/kind", version = "~> 0.11" }
  }
}

variable "workers" {
  description = "Nodes beside the control plane."
  type        = number
  default     = 0
}

module "cluster" {
  source  = "../../../modules/cluster-kind"
  workers = var.workers
}

output "kubeconfig_path" {
  description = "For 20-platform, and for kubectl."
  value       = module.cluster.kubeconfig_path
}

output "context" {
  description = "The context in it."
  value       = module.cluster.context
}

output "node_count" {
  description = "How many nodes there are."
  value       = module.cluster.node_count
}
