output "name" {
  description = "The cluster's name."
  value       = digitalocean_kubernetes_cluster.this.name
}

output "id" {
  description = "The cluster's identifier, for doctl."
  value       = digitalocean_kubernetes_cluster.this.id
}

output "endpoint" {
  description = "Address of the Kubernetes API."
  value       = digitalocean_kubernetes_cluster.this.endpoint
}

output "ca_certificate" {
  description = "Certificate of the API's authority (PEM)."
  value       = base64decode(digitalocean_kubernetes_cluster.this.kube_config[0].cluster_ca_certificate)
  sensitive   = true
}

output "node_count" {
  description = "How many nodes there are at least."
  value       = var.nodes.minimum
}
