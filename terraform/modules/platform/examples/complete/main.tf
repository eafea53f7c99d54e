terraform {
  required_version = ">= 1.11"
  required_providers {
    helm       = { source = "hashicorp/helm", version = "~> 3.1" }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 3.2" }
  }
}

provider "kubernetes" {
  config_path = "~/.kube/config"
}

provider "helm" {
  kubernetes = { config_path = "~/.kube/config" }
}

module "steam" {
  source = "../.."
  charts = "${path.module}/../../../../../infra/charts"
  plant  = file("${path.module}/../../../../../steam/demo_plant.yaml")
  broker = { replicas = 3, storage = "20Gi" }
  mqtt   = { load_balancer = true, tls_secret = "steam-mqtt-tls" }
  panel  = { replicas = 2, host = "steam.example.org", ingress_class = "traefik", tls_secret = "steam-panel-tls" }
  settings = {
    retention     = { raw_days = 90 }
    notifications = { routes = [{ name = "shift", targets = [{ url_env = "SHIFT_URL" }] }] }
  }
  notifications_existing_secret = "steam-notifications"
}
