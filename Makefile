# demo: from a bare clone to a report.  test: lint, types, tests, doctests, notebook.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test bench lint format clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	touch $@

demo: $(VENV)/.installed
	@echo "1/4 tiny_moe on tiny_edge: cost of every design, accuracy of the candidates measured"
	OMP_NUM_THREADS=1 $(BIN)/dse explore tiny_edge tiny_moe --set mapping.digital_fraction=0,0.125,0.25,0.5 \
	  --set analog_cores.pcm.adc.bits=8 --set scenario.batch=1,8,32 --set analog_cores.pcm.cost.mvm.energy_pj=2250,4500,9000 \
	  --accuracy --draws 6 --candidates 4 --scales 1,2.5 --items 0 -o reports/tiny_edge
	@echo "2/4 its report"
	$(BIN)/dse report reports/tiny_edge
	@echo "3/4 OLMoE-1B-7B on server_pcm3d: energy, latency, area; no weights, so scores are synthetic (score_only)"
	$(BIN)/dse explore server_pcm3d olmoe --set mapping.digital_fraction=0:0.5:0.125 --set scenario.batch=1,8,32,128 \
	  --set scenario.context_tokens=256,1024,4096 --set analog_cores.pcm.cost.mvm.energy_pj=5000,10000,20000 \
	  --set memories.hbm.bandwidth_bytes_per_ns=800,1200,1600 -o reports/server_pcm3d
	@echo "4/4 its report"
	$(BIN)/dse report reports/server_pcm3d
	@echo "Open reports/tiny_edge/report.html and reports/server_pcm3d/report.html"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not gpu'

bench: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run.py -o reports/bench.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
