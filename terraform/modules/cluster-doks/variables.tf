variable "name" {
  description = "Name of the cluster, its network and its nodes."
  type        = string
  default     = "steam"
  validation {
    condition     = can(regex("^[a-z0-9][-a-z0-9]{0,30}$", var.name))
    error_message = "name: small letters, digits and -, at most 31 characters."
  }
}

variable "region" {
  description = "Region of the cluster, such as nyc3; the nearest to the plant is best."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{3}[0-9]$", var.region))
    error_message = "region: three letters and a digit, such as nyc3 or fra1."
  }
}

variable "kubernetes_version_prefix" {
  description = "Minor version of Kubernetes that a new cluster starts with, with a full stop at its end (`doctl kubernetes options versions` tells which there are); the newest patch of it is taken."
  type        = string
  default     = "1.34."
  nullable    = false
  validation {
    condition     = can(regex("^1\\.[0-9]{2}\\.$", var.kubernetes_version_prefix))
    error_message = "kubernetes_version_prefix: such as 1.34. (with the full stop, or 1.3 would be 1.30 to 1.39)."
  }
}

variable "nodes" {
  description = "Size of a node, and how many there are at least and at most."
  type = object({
    size    = optional(string, "s-4vcpu-8gb")
    minimum = optional(number, 3)
    maximum = optional(number, 5)
  })
  default = {}
  validation {
    condition     = 1 <= var.nodes.minimum && var.nodes.minimum <= var.nodes.maximum && var.nodes.maximum <= 20
    error_message = "nodes: 1 <= minimum <= maximum <= 20."
  }
}

variable "ip_range" {
  description = "Network of the nodes."
  type        = string
  default     = "10.40.0.0/20"
  validation {
    condition     = can(cidrhost(var.ip_range, 0)) && try(tonumber(split("/", var.ip_range)[1]) <= 24, false)
    error_message = "ip_range: a network of /24 or larger, such as 10.40.0.0/20."
  }
}

variable "highly_available" {
  description = "Three control planes instead of one; costs more and cannot be taken back."
  type        = bool
  default     = false
}

variable "api_addresses" {
  description = "Networks that may reach the Kubernetes API; empty for all."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.api_addresses : can(cidrhost(address, 0))])
    error_message = "api_addresses: networks such as 198.51.100.0/24."
  }
}
