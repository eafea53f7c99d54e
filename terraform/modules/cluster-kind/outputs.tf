output "kubeconfig_path" {
  description = "The kubeconfig that the provider wrote."
  value       = kind_cluster.this.kubeconfig_path
}

output "context" {
  description = "The context in it."
  value       = "kind-${kind_cluster.this.name}"
}

output "node_count" {
  description = "How many nodes there are."
  value       = 1 + var.workers
}
