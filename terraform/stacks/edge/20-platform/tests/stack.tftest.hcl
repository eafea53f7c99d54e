mock_provider "kubernetes" {}
mock_provider "helm" {}

run "plant_is_there" {
  command = plan
  variables { plant_file = "/nowhere/plant.yaml" }
  expect_failures = [var.plant_file]
}

run "plans" {
  command = plan
  variables { plant_file = "../../../../steam/demo_plant.yaml" }
}
