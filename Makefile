# Everything works on a fresh clone with python3, pip, venv and make; the first call sets up .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= src/knuckle/demo/hands.mp4
OUT ?= build/demo
RECIPE ?= recipes/keypoints.toml
COUNT ?= 3000
SEED ?= 0

.PHONY: demo test lint fuzz benchmark train clean

demo: $(VENV)/runtime          ## track SOURCE=… (the shipped clip by default) and draw an overlay
	$(BIN)/knuckle track $(SOURCE) --output $(OUT) --overlay

test: $(VENV)/all lint         ## every test, the style and the arrows
	$(BIN)/pytest -n 2

lint: $(VENV)/all
	$(BIN)/ruff check src tests benchmarks examples tools
	$(BIN)/ruff format --check src tests benchmarks examples tools
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/all              ## damaged files of every kind, COUNT=… SEED=…
	$(BIN)/python tests/fuzz/fuzz.py --count $(COUNT) --seed $(SEED)

benchmark: $(VENV)/all .venv-peers/done   ## measure speed and accuracy beside MediaPipe
	$(BIN)/python benchmarks/run.py --mediapipe-python .venv-peers/bin/python

train: $(VENV)/all             ## RECIPE=recipes/….toml
	$(BIN)/knuckle train $(RECIPE)

clean:
	rm -rf build $(VENV)

# MediaPipe needs numpy < 2: an environment of its own.
.venv-peers/done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q mediapipe==0.10.21
	touch $@

# Two stages, so that the demo never waits for the training libraries.
$(VENV)/runtime: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/all: $(VENV)/runtime
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -e '.[dev]'
	touch $@
