terraform {
  required_version = ">= 1.11"
}

module "cluster" {
  source  = "../.."
  name    = "steam"
  workers = 2
}
