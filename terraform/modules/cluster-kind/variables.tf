variable "name" {
  description = "Name of the cluster, and of its context in the kubeconfig."
  type        = string
  default     = "steam"
  validation {
    condition     = can(regex("^[a-z0-9][-a-z0-9]{0,30}$", var.name))
    error_message = "name: small letters, digits and -, at most 31 characters."
  }
}

variable "workers" {
  description = "How many nodes beside the one that holds the control plane."
  type        = number
  default     = 0
  validation {
    condition     = var.workers >= 0 && var.workers <= 5 && floor(var.workers) == var.workers
    error_message = "workers: 0 to 5."
  }
}

variable "node_image" {
  description = "Image of the nodes, such as kindest/node:v1.34.0; null for the provider's own."
  type        = string
  default     = null
  validation {
    condition     = var.node_image == null || can(regex("^[^ :@]+(/[^ :@]+)*(:[^ :@/]+|@sha256:[0-9a-f]{64})+$", var.node_image))
    error_message = "node_image: with a tag or digest, such as kindest/node:v1.34.0."
  }
}
