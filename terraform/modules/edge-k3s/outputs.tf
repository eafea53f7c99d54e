output "cloud_init" {
  description = "user-data for the first start of the machine (Raspberry Pi: the file `user-data` of the boot partition)."
  value       = local.cloud_init
}

output "k3s_config" {
  description = "/etc/rancher/k3s/config.yaml, for a machine that runs already."
  value       = local.config
}

output "kubeconfig_command" {
  description = "Brings the kubeconfig to this machine."
  value       = "(umask 077; ssh steam@${var.hostname} sudo cat /etc/rancher/k3s/k3s.yaml | sed 's/127.0.0.1/${var.hostname}/' > kubeconfig)"
}
