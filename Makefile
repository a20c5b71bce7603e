# Everything works on a fresh clone with python3, pip, venv and make; the first call sets up .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= src/knuckle/demo/hands.mp4
OUT ?= build/demo
RECIPE ?= recipes/keypoints.toml
COUNT ?= 3000
SEED ?= 0
# What Python compiles is kept, also where the machine says not to: the tests start it often.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-lowest lint web test-web test-browser test-dist test-package fuzz benchmark \
	train docs clean compiled

demo: $(VENV)/runtime          ## track SOURCE=… (the shipped clip by default) and draw an overlay
	$(BIN)/knuckle track $(SOURCE) --output $(OUT) --overlay

test: $(VENV)/all              ## every test, the style and the arrows
	$(MAKE) --no-print-directory -j 2 lint compiled
	$(BIN)/pytest -n 2 --dist worksteal

# What a clean checkout compiles once, on the core that mypy leaves idle; else both processes of the
# tests do it. Numba compiles what renders, Python the libraries that collecting the tests imports.
compiled: $(VENV)/compiled

$(VENV)/compiled: $(VENV)/all
	$(BIN)/knuckle data render touching build/compiled/touching --count 8 > /dev/null
	$(BIN)/knuckle data render frames build/compiled/frames --count 8 > /dev/null
	$(BIN)/knuckle data synth build/compiled/capture --frames 16 --cameras 2 --subjects 3 > /dev/null
	$(BIN)/pytest --collect-only -qq > /dev/null
	touch $@

test-lowest: .venv-lowest/done   ## what reads and writes, with the oldest libraries that are allowed
	PYTHONPATH=src .venv-lowest/bin/python -m pytest tests/video tests/output tests/test_image.py \
		tests/test_runtime.py --ignore tests/output/test_files_for_science.py
	PYTHONPATH=src .venv-lowest/bin/python -m knuckle track $(SOURCE) --output build/lowest --overlay

lint: $(VENV)/all
	$(BIN)/ruff check src tests benchmarks examples tools web integration
	$(BIN)/ruff format --check src tests benchmarks examples tools web integration
	$(BIN)/mypy
	$(BIN)/lint-imports

web: web/node_modules          ## build the page of knuckle web; needs Node.js with npm
	npm --prefix web run --silent check
	npm --prefix web run --silent build

test-web: $(VENV)/all web      ## the page's code in Node.js, beside Python on the same frames
	$(BIN)/pytest web/test/test_in_node.py

test-browser: $(VENV)/all web  ## the page in headless Chromium; CHROMIUM=… if it is elsewhere
	$(BIN)/pytest web/test/test_in_browser.py

test-dist: $(VENV)/all         ## a small corpus on Ray Data and on Daft
	$(BIN)/pip install -q -e '.[dist]'
	$(BIN)/pytest integration

test-package: $(VENV)/all      ## what people install: the wheel of the sdist, alone in an environment
	rm -rf build/package
	$(BIN)/pip install -q 'setuptools>=77'
	$(BIN)/python -c "from setuptools import build_meta; build_meta.build_sdist('build/package')"
	$(BIN)/pip wheel -q --no-deps --no-build-isolation -w build/package build/package/*.tar.gz
	$(PYTHON) -m venv build/package/env
	build/package/env/bin/pip install -q build/package/*.whl
	cd build/package && env/bin/knuckle track $(CURDIR)/src/knuckle/demo/hands.mp4 --overlay

fuzz: $(VENV)/all              ## damaged files of every kind, COUNT=… SEED=…
	$(BIN)/python tests/fuzz/fuzz.py --count $(COUNT) --seed $(SEED)

docs: $(VENV)/all              ## the site of the documents into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "python3 -m http.server -d build/site"

benchmark: $(VENV)/all .venv-peers/done   ## measure speed and accuracy beside MediaPipe
	$(BIN)/python benchmarks/run.py --mediapipe-python .venv-peers/bin/python

train: $(VENV)/all             ## RECIPE=recipes/….toml
	$(BIN)/knuckle train $(RECIPE)

clean:
	rm -rf build $(VENV) .venv-lowest web/build web/node_modules src/knuckle/web/site

web/node_modules: web/package-lock.json
	npm --prefix web ci --silent --ignore-scripts
	touch $@

# MediaPipe needs numpy < 2: an environment of its own.
.venv-peers/done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q mediapipe==0.10.21
	touch $@

.venv-lowest/done: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tools/lowest_versions.py > .venv-lowest/requirements.txt
	.venv-lowest/bin/pip install -q -r .venv-lowest/requirements.txt pytest hypothesis onnx pillow \
		trimesh pygltflib polars tables pycocotools python-osc beartype
	touch $@

# Two stages, so that the demo never waits for the training libraries. Of the many modules that come
# with those Python compiles what is imported, not all of them beforehand.
$(VENV)/runtime: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/all: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --no-compile -e '.[dev]'
	touch $(VENV)/runtime $@
