run "plans" {
  command = plan
  variables { ssh_public_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample technician"] }
  assert {
    condition     = strcontains(output.kubeconfig_command, "steam-edge")
    error_message = "the machine has its name"
  }
}
