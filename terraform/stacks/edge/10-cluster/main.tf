terraform {
  required_version = ">= 1.11"
}

variable "hostname" {
  description = "Name of the machine on the plant's network."
  type        = string
  default     = "steam-edge"
}

variable "ssh_public_keys" {
  description = "Keys of those who may log in."
  type        = list(string)
}

variable "tls_names" {
  description = "Further names and addresses of the machine."
  type        = list(string)
  default     = []
}

module "machine" {
  source          = "../../../modules/edge-k3s"
  hostname        = var.hostname
  ssh_public_keys = var.ssh_public_keys
  tls_names       = var.tls_names
}

output "cloud_init" {
  description = "terraform output -raw cloud_init > user-data"
  value       = module.machine.cloud_init
}

output "kubeconfig_command" {
  description = "Once the machine has started: brings the kubeconfig for 20-platform."
  value       = module.machine.kubeconfig_command
}
