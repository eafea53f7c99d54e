.PHONY: test-terraform
test-terraform: ## Format, validate and test every terraform module, example and stack, with whatever providers are configured
	@infra/test-terraform $(ARGS)
