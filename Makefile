# Two commands do everything: `make run` and `make test`. Both set up what they need.
PYTHON   := $(shell tools/find-python 3.13 3.12 3.11)
OLDEST   := $(shell tools/find-python 3.11)
BIN      := .venv/bin
AZURITE  := local/node_modules/.package-lock.json
UV       := 0.13.9

.PHONY: run clean-run test check tests tests-oldest bench fuzz soak package lock format servers

run:
	@$(MAKE) --no-print-directory --silent --jobs=2 .venv/ready $(AZURITE)
	@$(BIN)/python -m local.run

clean-run:
	rm -rf .local/run .local/run.json

test: check tests tests-oldest

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tests: .venv/ready $(AZURITE) servers
	$(BIN)/pytest -n 2 --dist loadgroup

# The same tests on the oldest Python that is supported, where this machine has it.
tests-oldest: $(AZURITE) servers
ifneq ($(OLDEST),)
ifneq ($(OLDEST),$(PYTHON))
	@$(MAKE) --no-print-directory .venv-oldest/ready
	.venv-oldest/bin/pytest -n 2 --dist loadgroup -m "not exhaustive"
endif
endif

bench: .venv/ready $(AZURITE) servers
	$(BIN)/python -m bench.parsing
	$(BIN)/python -m bench

# Damaged and hostile mail by the thousand; what fails is kept in .local/fuzz.
fuzz: .venv/ready
	$(BIN)/python -m bench.fuzzing

# A thousand mailboxes for ten minutes; `ARGS="--faults --kill 5"` makes storage fail and kills workers.
soak: .venv/ready $(AZURITE)
	$(BIN)/python -m bench.soak $(ARGS)

# What is deployed: dist/app, and the same as dist/mailroom.zip.
package: .venv/ready
	@$(BIN)/python tools/package.py

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Pin every dependency with its hashes, for every supported Python at once.
lock: .venv/ready
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' \
		pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' \
		pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

.venv/ready: PY = $(PYTHON)
.venv-oldest/ready: PY = $(OLDEST)
.venv/ready .venv-oldest/ready: requirements-dev.txt
	@test -n "$(PY)" || { echo "Mailroom needs Python 3.11, 3.12 or 3.13 with venv."; exit 1; }
	@echo "Installing the Python packages into $(@D) ..."
	@$(PY) -m venv $(@D)
	@$(@D)/bin/python -m pip install -q --disable-pip-version-check uv==$(UV)
	@$(@D)/bin/uv pip install -q --python $(@D) --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@

$(AZURITE): local/package-lock.json
	@command -v npm >/dev/null || { echo "Mailroom needs Node.js 20 or later, with npm, for Azurite."; exit 1; }
	@echo "Installing Azurite into local/node_modules ..."
	@npm ci --prefix local --silent --no-audit --no-fund
	@touch $@

servers:
	@tools/install-servers
