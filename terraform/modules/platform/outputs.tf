output "namespace" {
  description = "Where everything runs."
  value       = local.namespace
}

output "broker_secret" {
  description = "The Secret with the broker's passwords, by account."
  value       = local.broker_secret
}

output "dashboard" {
  description = "How to reach the dashboard."
  value       = var.panel.host != "" ? "${var.panel.tls_secret != "" ? "https" : "http"}://${var.panel.host}/" : "kubectl port-forward -n ${var.namespace} service/steam-panel 5006"
}
