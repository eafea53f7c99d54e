"""Steam's images and its compose file, built and run here: `make test-infra` (root, Docker)."""
