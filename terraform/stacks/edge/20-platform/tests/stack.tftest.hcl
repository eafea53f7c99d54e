mock_provider "kubernetes" {}
mock_provider "helm" {}

run "plans" {
  command = plan
  variables { plant_file = "../../../../steam/demo_plant.yaml" }
}
