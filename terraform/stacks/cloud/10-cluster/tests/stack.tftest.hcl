mock_provider "digitalocean" {}

run "plans" {
  command = plan
  variables { region = "nyc3" }
}
