# Every target sets up what it needs first: a virtual environment in .venv, once. Needs Python 3.11, 3.12 or 3.13.
# Another interpreter:  make lab PYTHON=/path/to/python3.12

VENV   := .venv
OLD    := .venv-oldest
BIN    := $(VENV)/bin
READY  := $(VENV)/.course-ready
COURSE := $(BIN)/course
PYTHON ?=
comma  := ,

.PHONY: help demo lab test test-browser test-oldest release grade results site set-up
.DEFAULT_GOAL := help

# A student's copy of the course has neither sources nor tests.
ifeq ($(wildcard solutions),)

help:
	@echo "make lab      copies the notebooks into work/ and opens JupyterLab; make lab UNIT=04 opens that unit's"

demo test test-browser test-oldest release grade results site:
	@echo "make $@ needs the course's sources, which a student's copy does not hold. Start with: make lab" >&2; exit 1

else

help:
	@echo "make lab           start here: copies the notebooks into work/ and opens JupyterLab; make lab UNIT=04 that unit's"
	@echo "make demo          plays a small class from release to grades, without a browser (a minute and a half)"
	@echo "make test          runs the whole test suite"
	@echo "make test-browser  looks at JupyterLab, widgets and formgrader in a real Chromium (minutes)"
	@echo "make test-oldest   runs the tests on the oldest versions that pyproject.toml admits (half an hour, 7 GB)"
	@echo "make release       builds notebooks/ from solutions/"
	@echo "make grade         grades class/submitted/ in a sandbox and fills the gradebook"
	@echo "make results       runs the experiments that every quoted number comes from (minutes to hours)"
	@echo "make site          builds the course as web pages in site/ (executes notebooks that changed)"

demo: set-up
	@$(COURSE) demo

# An extra for those who use this target only: $(call extra,NAME,MODULE ...) installs it unless its modules are there.
extra = @$(BIN)/python -c "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))" $(2) || \
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation -e ".[$(1)]"

# Where the extras are not to be had, the tests of what needs them are skipped. Each process takes whole files, since the
# tests of a file share what is slow to make. One process, say for a debugger: make test TESTS="-n 0"
test: set-up
	$(call extra,dask$(comma)dev$(comma)serve$(comma)site,distributed hypothesis ruff itsdangerous python_multipart starlette \
	uvicorn furo math_core myst_nb sphinx) || true
	@$(BIN)/python -m pytest -q --costs --numprocesses auto --maxprocesses 4 --dist loadfile $(TESTS)

# Needs Chromium or Chrome on this machine; Playwright drives it.
test-browser: set-up
	$(call extra,browser$(comma)serve,playwright itsdangerous python_multipart starlette uvicorn)
	@$(BIN)/python -m pytest -q -m browser tests/browser

# The oldest version of each package that pyproject.toml names, together, in an environment of their own. Not part of
# `make test`: it is for those who change a bound. Needs Python 3.11; OLD_TESTS names other tests.
OLD_TESTS := tests/data tests/training tests/exercises tests/desk tests/grading tests/serving
test-oldest: set-up
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	@{ [ -e $(OLD)/$(notdir $(READY)) ] && [ ! pyproject.toml -nt $(OLD)/$(notdir $(READY)) ]; } || { \
	$(BIN)/uv venv --quiet --clear --python 3.11 $(OLD) && \
	$(BIN)/uv pip install --python $(OLD) --resolution lowest-direct "setuptools>=77" -e ".[dask,dev,serve]" && \
	touch $(OLD)/$(notdir $(READY)); }
	@PYTHONPATH=. $(OLD)/bin/python -m pytest -q $(OLD_TESTS)

release: set-up
	@$(COURSE) release

grade: set-up
	@$(COURSE) grade class/submitted

results: set-up
	@$(COURSE) results

# Sphinx and its like are for those who build the site only.
site: set-up
	$(call extra,site,furo math_core myst_nb sphinx)
	@$(COURSE) site

endif

lab: set-up
	@$(COURSE) lab$(if $(UNIT), --unit $(UNIT))

# What is set up, and how, is in course_lib/desk/set_up.py; without make:  python -m course_lib set-up
set-up:
	@{ [ -e $(READY) ] && [ ! pyproject.toml -nt $(READY) ] && $(BIN)/python -c ""; } 2>/dev/null && exit 0; \
	good='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.12 python3.13 python3.11 python3 python); do \
		if "$$candidate" -c "$$good" >/dev/null 2>&1; then exec "$$candidate" -m course_lib set-up; fi; \
	done; \
	found="$${PYTHON:-$$(command -v python3 || command -v python || true)}"; \
	echo "This course needs Python 3.11, 3.12 or 3.13 with its venv module; found: $${found:-no Python} $$("$${found:-false}" --version 2>/dev/null || true)" >&2; \
	echo "Debian, Ubuntu:  sudo apt install python3 python3-venv     macOS:  brew install python@3.12" >&2; \
	echo "Another one:     make $(or $(MAKECMDGOALS),lab) PYTHON=/path/to/python3.12     conda:  see environment.yml" >&2; \
	exit 1
