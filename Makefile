# demo: from a bare clone to a report.  test: lint, types, tests, doctests, notebook.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo example test bench lint format clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[all,tasks,dev]'
	touch $@

demo: $(VENV)/.installed
	@echo "1/4  tiny_moe on tiny_edge: 48 designs, accuracy of four candidates measured on 6 simulated chips each"
	@$(BIN)/dse explore tiny_edge tiny_moe --set mapping.digital_fraction=0,0.125,0.25,0.5 \
	  --set analog_cores.pcm.tiles_per_die=48,72,84,112 --set scenario.batch=1,8,32 \
	  --accuracy --draws 6 --candidates 4 --scales 1,2.5 -o reports/tiny_edge
	@echo "2/4  its report"
	@$(BIN)/dse report reports/tiny_edge
	@echo "3/4  OLMoE-1B-7B on server_pcm3d: energy, latency, area; no weights are shipped, so scores are synthetic"
	@$(BIN)/dse explore server_pcm3d olmoe --set mapping.digital_fraction=0:0.5:0.125 --set dies.analog.count=2,3,4 \
	  --set scenario.batch=8,32,128 --set memories.hbm.bandwidth_bytes_per_ns=800,1200,1600 -o reports/server_pcm3d
	@echo "4/4  its report"
	@$(BIN)/dse report reports/server_pcm3d
	@echo "open reports/tiny_edge/report.html and reports/server_pcm3d/report.html in a browser"

# the report of the demo, committed so that it can be looked at without installing anything
example: demo
	mkdir -p reports/example
	cp reports/tiny_edge/report.html reports/tiny_edge/figures/pareto_loss.svg reports/tiny_edge/figures/loss_curve.svg reports/example/

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not gpu' -n auto --maxprocesses 4 --dist worksteal

bench: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run.py -o reports/bench.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
