terraform {
  required_version = ">= 1.11"
}

module "cluster" {
  source        = "../.."
  name          = "steam"
  region        = "nyc3"
  nodes         = { size = "s-4vcpu-8gb", minimum = 3, maximum = 6 }
  api_addresses = ["198.51.100.0/24"]
}
