# Images, compose and Kubernetes. Each of these takes its settings from the command line:
#   make deploy TARGET=cloud PLANT=plant.yaml TAG=1.2.0
REGISTRY ?= docker.io/steam-boilers
TAG ?= $(shell git describe --tags --always 2>/dev/null || echo dev)
BASE ?= docker.io/library/python:3.13-slim-bookworm
IMAGES := processor panel producer jobs
NAMESPACE ?= steam
TARGET ?=
PLANT ?=
ACCOUNT ?= steam-accounts
KUBECTL := kubectl --namespace $(NAMESPACE)
HELM := helm --namespace $(NAMESPACE)
COMPOSE ?= docker compose
CHARTS := infra/charts
BROKER_ARGS ?=
INFLUXDB_ARGS ?=
STEAM_ARGS ?=
BUILD = DOCKER_BUILDKIT=1 docker build --file infra/docker/Dockerfile --build-arg BASE=$(BASE) \
    --build-arg VERSION=$(TAG) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) $(BUILD_ARGS)

.PHONY: build
build: ## Build the four images (REGISTRY, TAG, BASE)
	@for image in $(IMAGES); do $(BUILD) --target $$image --tag $(REGISTRY)/$$image:$(TAG) .; done

.PHONY: push
push: ## Push the four images
	@for image in $(IMAGES); do docker push $(REGISTRY)/$$image:$(TAG); done

.PHONY: up
up: ## Run everything with Docker compose (COMPOSE_PROFILES=sim for simulated boilers)
	@infra/compose/make-secrets
	@cd infra/compose && REGISTRY=$(REGISTRY) TAG=$(TAG) $(COMPOSE) up --detach
	@echo "dashboard: http://localhost:5006/"

.PHONY: down
down: ## Stop what `make up` started; data and secrets stay
	@cd infra/compose && REGISTRY=$(REGISTRY) TAG=$(TAG) COMPOSE_PROFILES=sim $(COMPOSE) down

.PHONY: logs
logs: ## Follow the logs of what `make up` started
	@cd infra/compose && REGISTRY=$(REGISTRY) TAG=$(TAG) COMPOSE_PROFILES=sim $(COMPOSE) logs --follow --tail 50

DEPLOY = NAMESPACE=$(NAMESPACE) REGISTRY=$(REGISTRY) TAG=$(TAG) TARGET=$(TARGET) PLANT=$(PLANT) ARGS="$(ARGS)" \
    BROKER_ARGS="$(BROKER_ARGS)" INFLUXDB_ARGS="$(INFLUXDB_ARGS)" STEAM_ARGS="$(STEAM_ARGS)" infra/deploy

.PHONY: deploy
deploy: ## Install broker, database and Steam, dashboard included, on Kubernetes (TARGET=local|edge|cloud PLANT=plant.yaml)
	@$(DEPLOY) install

.PHONY: upgrade
upgrade: ## Upgrade what is installed; every value stays (TAG, and PLANT where it is given)
	@$(DEPLOY) upgrade

.PHONY: restore
restore: ## Bring a backup of the cluster's volume back into an empty database (FILE)
	@NAMESPACE=$(NAMESPACE) infra/restore $(FILE)

.PHONY: uninstall
uninstall: ## Remove the three releases; volumes and passwords stay
	@for release in steam steam-influxdb steam-broker; do $(HELM) uninstall --ignore-not-found $$release; done

.PHONY: status
status: ## Show what runs, and the autoscaler
	@$(KUBECTL) get all,hpa,pvc

.PHONY: create-jobs
create-jobs: ## Switch the jobs by the clock on: roll-up repair and backup
	@$(HELM) upgrade steam $(CHARTS)/steam --reset-then-reuse-values --set cronJobs.enabled=true
	@$(KUBECTL) get cronjobs

.PHONY: delete-jobs
delete-jobs: ## Switch them off; backups stay
	@$(HELM) upgrade steam $(CHARTS)/steam --reset-then-reuse-values --set cronJobs.enabled=false

.PHONY: producer
producer: ## Start simulated devices in the cluster and follow them (needs the broker's `gateway`)
	@$(HELM) upgrade steam $(CHARTS)/steam --reset-then-reuse-values --set producer.enabled=true >/dev/null
	@$(KUBECTL) rollout status deployment/steam-producer
	@$(KUBECTL) logs --follow deployment/steam-producer

.PHONY: delete-producer
delete-producer: ## Stop the simulated devices
	@$(HELM) upgrade steam $(CHARTS)/steam --reset-then-reuse-values --set producer.enabled=false >/dev/null

.PHONY: rabbit-password
rabbit-password: ## Show the password of a broker account (ACCOUNT=steam-accounts: the administrator)
	@$(KUBECTL) get secret steam-broker-accounts --output "jsonpath={.data.$(ACCOUNT)}" | base64 --decode; echo

.PHONY: set-rabbit-password
set-rabbit-password: ## Give a broker account a new password, and restart what uses it (ACCOUNT)
	@NAMESPACE=$(NAMESPACE) infra/set-rabbit-password $(ACCOUNT)

.PHONY: shell
shell: ## A shell beside a running processor, for debugging
	@$(KUBECTL) exec --stdin --tty deployment/steam-processor -- /bin/sh

.PHONY: infra-tools
infra-tools: ## Install the tools that the infrastructure's tests use
	@infra/install-tools

.PHONY: test-infra
test-infra: venv infra-tools ## Build the images and run them, check charts, compose and terraform (root, docker.io)
	@if [[ -z "$${INFLUXD2:-}" && -x $(INFLUXDB2) ]]; then INFLUXD2=$$($(INFLUXDB2) | tail -n 1); export INFLUXD2; fi; \
	  STEAM_TEST_INFRA=1 $(RUN) -m pytest -p no:randomly --timeout 1200 tests/images $(ARGS)
	@infra/lint
	@$(MAKE) test-terraform

.PHONY: test-cluster
test-cluster: venv infra-tools ## Install the charts on the cluster of KUBECONFIG and watch the autoscaler
	@infra/with-cluster env STEAM_TEST_CLUSTER=1 $(RUN) -m pytest -p no:randomly --timeout 900 \
	    tests/cluster/test_templates.py tests/cluster/test_make.py tests/cluster/test_releases.py $(ARGS)
