terraform {
  required_version = ">= 1.11"
}

module "edge" {
  source          = "../.."
  hostname        = "steam-edge"
  ssh_public_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample technician"]
  tls_names       = ["192.0.2.7"]
}
