variables {
  ssh_public_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample technician"]
}

run "defaults" {
  command = plan
  assert {
    condition     = startswith(output.cloud_init, "#cloud-config\n") && !yamldecode(output.cloud_init).ssh_pwauth
    error_message = "cloud-init, and no passwords"
  }
  assert {
    condition     = strcontains(output.cloud_init, "cgroup_memory=1 cgroup_enable=memory")
    error_message = "a Raspberry Pi needs the memory cgroup"
  }
  assert {
    condition     = !contains(yamldecode(output.k3s_config).disable, "metrics-server")
    error_message = "the autoscaler needs metrics-server"
  }
}

run "switches" {
  command = plan
  variables {
    service_load_balancer = false
    ingress_controller    = false
    tls_names             = ["192.0.2.7"]
  }
  assert {
    condition     = yamldecode(output.k3s_config).disable == ["servicelb", "traefik"] && contains(yamldecode(output.k3s_config).tls-san, "192.0.2.7")
    error_message = "what is switched off is off"
  }
}

run "a_key_is_needed" {
  command = plan
  variables { ssh_public_keys = [] }
  expect_failures = [var.ssh_public_keys]
}

run "a_private_key_is_none" {
  command = plan
  variables { ssh_public_keys = ["-----BEGIN OPENSSH PRIVATE KEY-----"] }
  expect_failures = [var.ssh_public_keys]
}

run "channel_is_known" {
  command = plan
  variables { k3s_channel = "edge" }
  expect_failures = [var.k3s_channel]
}

run "hostname_is_a_name" {
  command = plan
  variables { hostname = "Caldeira 1" }
  expect_failures = [var.hostname]
}

run "names_are_names" {
  command = plan
  variables { tls_names = ["https://steam.local/"] }
  expect_failures = [var.tls_names]
}
