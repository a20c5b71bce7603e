# Everything works on a fresh clone with python3, pip, venv and make; the first call sets up .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= src/knuckle/demo/hands.mp4
OUT ?= build/demo
RECIPE ?= recipes/keypoints.toml

.PHONY: demo test test-lowest lint benchmark train clean

demo: $(VENV)/runtime          ## track SOURCE=… (the shipped clip by default) and draw an overlay
	$(BIN)/knuckle track $(SOURCE) --output $(OUT) --overlay

test: $(VENV)/all lint         ## every test, the style and the arrows
	$(BIN)/pytest -n 2

test-lowest: .venv-lowest/done   ## what reads and writes, with the oldest libraries that are allowed
	PYTHONPATH=src .venv-lowest/bin/python -m pytest tests/video tests/output
	PYTHONPATH=src .venv-lowest/bin/python -m knuckle track $(SOURCE) --output build/lowest --overlay

lint: $(VENV)/all
	$(BIN)/ruff check src tests benchmarks examples tools
	$(BIN)/ruff format --check src tests benchmarks examples tools
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/all .venv-peers/done   ## measure speed and accuracy beside MediaPipe
	$(BIN)/python benchmarks/run.py --mediapipe-python .venv-peers/bin/python

train: $(VENV)/all             ## RECIPE=recipes/….toml
	$(BIN)/knuckle train $(RECIPE)

clean:
	rm -rf build $(VENV) .venv-lowest

# MediaPipe needs numpy < 2: an environment of its own.
.venv-peers/done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q mediapipe==0.10.21
	touch $@

.venv-lowest/done: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tools/lowest_versions.py > .venv-lowest/requirements.txt
	.venv-lowest/bin/pip install -q -r .venv-lowest/requirements.txt pytest hypothesis onnx pyarrow pillow
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
