# For trials only: elsewhere a Secret is given, and no private key is in a state.
locals {
  certificates = length(var.certificate_names) > 0 ? 1 : 0
  addresses    = [for name in var.certificate_names : name if can(cidrhost("${name}/32", 0)) || can(cidrhost("${name}/128", 0))]
  ten_years_h  = 10 * 365 * 24
}

resource "tls_private_key" "authority" {
  count       = local.certificates
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_self_signed_cert" "authority" {
  count                 = local.certificates
  private_key_pem       = tls_private_key.authority[0].private_key_pem
  is_ca_certificate     = true
  validity_period_hours = local.ten_years_h
  allowed_uses          = ["cert_signing", "crl_signing"]
  subject {
    common_name = "Steam, for trials"
  }
}

resource "tls_private_key" "broker" {
  count       = local.certificates
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_cert_request" "broker" {
  count           = local.certificates
  private_key_pem = tls_private_key.broker[0].private_key_pem
  dns_names       = setsubtract(var.certificate_names, local.addresses)
  ip_addresses    = local.addresses
  subject {
    common_name = var.certificate_names[0]
  }
}

resource "tls_locally_signed_cert" "broker" {
  count                 = local.certificates
  cert_request_pem      = tls_cert_request.broker[0].cert_request_pem
  ca_private_key_pem    = tls_private_key.authority[0].private_key_pem
  ca_cert_pem           = tls_self_signed_cert.authority[0].cert_pem
  validity_period_hours = local.ten_years_h
  allowed_uses          = ["digital_signature", "server_auth"]
}

resource "kubernetes_secret_v1" "mqtt_tls" {
  count = local.certificates
  type  = "kubernetes.io/tls"
  metadata {
    name      = "steam-mqtt-tls"
    namespace = module.platform.namespace
  }
  data = {
    "ca.crt"  = tls_self_signed_cert.authority[0].cert_pem
    "tls.crt" = tls_locally_signed_cert.broker[0].cert_pem
    "tls.key" = tls_private_key.broker[0].private_key_pem
  }
}
