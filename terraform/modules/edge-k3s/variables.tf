variable "hostname" {
  description = "Name of the machine on the plant's network."
  type        = string
  default     = "steam-edge"
  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.hostname))
    error_message = "hostname: small letters, digits and -."
  }
}

variable "k3s_channel" {
  description = "Release channel of k3s, such as stable or v1.34."
  type        = string
  default     = "stable"
  validation {
    condition     = can(regex("^(stable|latest|v1\\.[0-9]{2})$", var.k3s_channel))
    error_message = "k3s_channel: stable, latest or such as v1.34."
  }
}

variable "ssh_public_keys" {
  description = "Keys of those who may log in as `steam`; there is no password."
  type        = list(string)
  validation {
    condition     = length(var.ssh_public_keys) > 0 && alltrue([for key in var.ssh_public_keys : can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9]+) ", key))])
    error_message = "ssh_public_keys: at least one public key, such as `ssh-ed25519 AAAA... name`."
  }
}

variable "tls_names" {
  description = "Further names and addresses under which the Kubernetes API is reached."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for name in var.tls_names : can(regex("^[A-Za-z0-9]([-.:A-Za-z0-9]*[A-Za-z0-9])?$", name))])
    error_message = "tls_names: names and addresses, such as steam.local or 192.0.2.7."
  }
}

variable "service_load_balancer" {
  description = "k3s' own load balancer (ServiceLB), which opens port 8883 for devices on this machine."
  type        = bool
  default     = true
}

variable "ingress_controller" {
  description = "k3s' own ingress controller (Traefik), for the dashboard."
  type        = bool
  default     = true
}
