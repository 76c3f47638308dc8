# The few things one does here. Each makes .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAULT ?= F
# Test folders lie in memory where there is a GB of it: processes are killed in tests, machines are not.
MEMORY = $(shell df -k /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 1000000 { print "/dev/shm" }')

# Programs start several times as fast when what they compiled is kept; some machines forbid that by default.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test pytest prove bench lint format manifest docs clean

demo: $(VENV)/ready ## the whole product on loopback, with a fault: make demo FAULT=B, make demo ONCE=1
	@$(BIN)/sendcat demo --fault=$(FAULT) $(if $(ONCE),--once)

test: $(VENV)/ready ## lint, types, import rules, tests
	@$(MAKE) --no-print-directory -j2 lint pytest

pytest: $(VENV)/ready
	@$(if $(MEMORY),TMPDIR=$(MEMORY)) $(BIN)/pytest -n 4 --dist=loadgroup -m "not prove"

prove: $(VENV)/ready ## the long proofs: kill loops, fuzzing, soak
	@$(BIN)/pytest -n 2 -m prove --timeout=1800

bench: $(VENV)/ready ## speed, as a table and bench.json
	@$(BIN)/python -m tests.bench

lint: $(VENV)/ready
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3

format: $(VENV)/ready
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

manifest: $(VENV)/ready ## write manifest.yml from the list of commands
	@$(BIN)/sendcat manifest > manifest.yml

docs: $(VENV)/ready ## write docs/commands.md from the list of commands
	@$(BIN)/python -m bot.reference > docs/commands.md

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 >= 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .sendcat .output .mypy_cache .ruff_cache .pytest_cache
