"""Steam's charts on a real Kubernetes API: `make test-cluster`, with whatever KUBECONFIG points to."""
