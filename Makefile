# The same targets for people and for CI. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup machine demo demo-down test test-fast test-long lint format golden docs bench

PYTHON ?= python3
BIN := .venv/bin
LAB ?= demo
# What the lab takes from Debian or Ubuntu: the program that shows it is there, and its package.
LAB_PACKAGES := mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2 \
  iptables:iptables nft:nftables ssh-keygen:openssh-client sshd:openssh-server dpkg-deb:dpkg gpg:gnupg gcc:gcc zstd:zstd

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make the virtual environment

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

machine: ## Install what the lab needs from the distribution (root)
	@missing=""; \
	for pair in $(LAB_PACKAGES); do \
	  PATH=$$PATH:/usr/sbin:/sbin command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	if test -n "$$missing"; then \
	  echo "installing$$missing"; \
	  apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $$missing >/dev/null; \
	fi

demo: setup machine ## Boot three machines and make a verified cluster of them (root)
	@LAB=$(LAB) CLUSTERCTL=$(BIN)/clusterctl sh docs/demo.sh

demo-down: setup ## Take the demo's machines away again
	$(BIN)/clusterctl lab down --name $(LAB)

test: setup machine ## Run everything, the lab's end-to-end tests included (root)
	$(BIN)/clusterctl lab build --kubernetes 1.35.4 --kubernetes 1.36.3
	$(BIN)/pytest -m "not e2e and not long" -n 3
	$(BIN)/pytest -m "e2e and alone and not long" --timeout 5400
	$(BIN)/pytest -m "e2e and not alone and not long" -n 2 --dist loadfile --no-loadscope-reorder --timeout 5400

test-fast: setup ## Run the tests that need no machines
	$(BIN)/pytest -m "not e2e and not long" -n 3

test-long: setup machine ## Run the tests that take longer than a change may wait for (root, an hour from an empty cache)
	$(BIN)/clusterctl lab build --kubernetes 1.34.4 --kubernetes 1.35.4 --kubernetes 1.36.3
	$(BIN)/pytest -m "long" --timeout 5400

lint: setup ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

golden: setup ## Write the goldens anew; read the difference before you commit it
	GOLDEN=write $(BIN)/pytest -q tests/steps/test_goldens.py

docs: setup ## Write the generated references anew
	$(BIN)/python -m clusterctl.cli.reference > docs/cli.md
	$(BIN)/clusterctl steps --markdown > docs/steps.md

bench: setup machine ## Measure: lab, second run, start-up, forecast, bootstrap (root, 20 minutes)
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/second_run.py --hosts 10 50 --peers
	$(BIN)/python benchmarks/lab_up.py
	$(BIN)/python benchmarks/forecast.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/upgrade.py
