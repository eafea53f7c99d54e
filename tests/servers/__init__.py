"""Real servers for the tests: found in the environment, on the machine, or as local container images."""
