locals {
  off = concat(var.service_load_balancer ? [] : ["servicelb"], var.ingress_controller ? [] : ["traefik"])

  # metrics-server stays: the autoscaler asks it.
  config = yamlencode({
    node-name             = var.hostname
    tls-san               = concat([var.hostname], var.tls_names)
    disable               = local.off
    write-kubeconfig-mode = "0640"
    secrets-encryption    = true
    kubelet-arg           = ["eviction-hard=memory.available<200Mi,nodefs.available<5%"]
  })

  cloud_init = join("\n", ["#cloud-config", yamlencode({
    hostname = var.hostname
    users = [{
      name                = "steam"
      groups              = "sudo"
      shell               = "/bin/bash"
      sudo                = "ALL=(ALL) NOPASSWD:ALL"
      lock_passwd         = true
      ssh_authorized_keys = var.ssh_public_keys
    }]
    ssh_pwauth = false
    write_files = [
      { path = "/etc/rancher/k3s/config.yaml", permissions = "0600", content = local.config },
    ]
    runcmd = [
      # Raspberry Pi OS starts without the memory cgroup, which Kubernetes needs.
      ["sh", "-c", "f=/boot/firmware/cmdline.txt; [ ! -e $f ] || grep -q cgroup_enable=memory $f || sed -i '1s/$/ cgroup_memory=1 cgroup_enable=memory/' $f"],
      ["sh", "-c", "curl -sfL https://get.k3s.io | INSTALL_K3S_CHANNEL=${var.k3s_channel} INSTALL_K3S_SKIP_START=true sh -s - server"],
    ]
    # The kernel's new arguments count from the next start, with which k3s starts as well.
    power_state = { mode = "reboot", message = "starting k3s", condition = true }
  })])
}
