# Executable documentation: what a newcomer, a contributor and CI run.
PORT ?= 8000
VENV := .venv/bin

.DELETE_ON_ERROR:
.PHONY: run test fast torture check bench lock styles widget translations clean

run: .venv/.ready            ## a whole installation on this machine, with an inbox to look into
	@ALERTS_MODE=demo PORT=$(PORT) $(VENV)/alerts demo

test: .venv/.ready-to-test .venv/vnu.jar  ## everything: SQLite, PostgreSQL, SMTP, a browser
	$(VENV)/pytest -n 2 --dist worksteal

fast: .venv/.ready-to-test   ## the suite without its slow tests
	$(VENV)/pytest -n 2 -m "not slow and not browser and not torture"

torture: .venv/.ready-to-test ## 50,000 messages and 100 kills, four times over: about half an hour on a quiet machine
	$(VENV)/pytest -n 0 -s -m torture tests/faults

check: .venv/.ready-to-test  ## format, lint, types, import contracts, templates, spelling
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/djlint --lint --quiet templates
	$(VENV)/codespell

bench: .venv/.ready-to-test  ## every promise of docs/performance.md, measured beside its reference; needs Postfix's smtp-sink
	$(VENV)/python -m bench

lock:                        ## exact versions with hashes, from the ranges of setup.cfg
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-header --python-version 3.11 --extra postgres --extra redis --extra demo -o requirements.lock setup.cfg
	uv pip compile -q --universal --no-strip-extras --generate-hashes --no-header --python-version 3.11 --extra postgres --extra redis --extra demo --extra test -c requirements.lock -o requirements-test.lock setup.cfg

widget:                      ## keep the present version of the widget's script under its hash, for as long as pages name it
	cp alerts_service/web/widget/widget.js alerts_service/web/widget/kept/widget-$$(sha256sum alerts_service/web/widget/widget.js | cut -c1-12).js

styles: .venv/.ready-to-test    ## the pages' stylesheet: USWDS, trimmed to what templates use, and our own rules
	$(VENV)/python -m styles

translations: .venv/.ready-to-test  ## collect the sentences of pages, mails and errors, and compile their translations
	$(VENV)/pybabel -q extract -F alerts_service/translations/babel.cfg --no-location --omit-header --sort-output -o alerts_service/translations/messages.pot alerts_service templates
	$(VENV)/pybabel -q update -i alerts_service/translations/messages.pot -d alerts_service/translations --no-fuzzy-matching --ignore-pot-creation-date
	$(VENV)/pybabel -q compile -d alerts_service/translations

clean:                       ## the environment and the demo's data
	rm -rf .venv instance

.venv/.ready: requirements.lock setup.cfg
	@$(MAKE_VENV)
	@$(VENV)/python -m pip --version >/dev/null 2>&1 || { rm -rf .venv; echo "pip is missing: install Python's venv and pip (Debian: apt install python3-venv)." >&2; exit 1; }
	$(VENV)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/python -m pip install --quiet --no-deps -e .
	@touch $@

.venv/.ready-to-test: .venv/.ready requirements-test.lock
	$(VENV)/python -m pip install --quiet --require-hashes -r requirements-test.lock
	@touch $@

# The HTML validator of the W3C. Where npm is missing or cannot reach its registry, the test that needs it is skipped.
VNU := vnu-jar-26.9.27.tgz
VNU_SHA512 := 4e441de4315f39a582f5e6edbe8cd3b2b1f655aa1dde3620faface791133217c417b12f3f7ead2d8336d8e7efe44f5226618258b44a0860057e9125135e6b428
.venv/vnu.jar: .venv/.ready-to-test
	@cd .venv && { npm pack --silent $(VNU:vnu-jar-%.tgz=vnu-jar@%) && echo "$(VNU_SHA512)  $(VNU)" | sha512sum --check --quiet \
		&& tar -xzOf $(VNU) package/build/dist/vnu.jar >vnu.part && mv vnu.part vnu.jar; } >/dev/null 2>&1 \
		|| echo "The HTML validator cannot be fetched by npm: its test is skipped." >&2
	@rm -f .venv/$(VNU) .venv/vnu.part

# venv, else uv, else virtualenv, else one line; a half-made environment does not stay.
define MAKE_VENV
python3 -m venv --clear .venv >/dev/null 2>&1 \
	|| { rm -rf .venv; uv venv --quiet --seed --python ">=3.11" .venv 2>/dev/null; } \
	|| { rm -rf .venv; python3 -m virtualenv --quiet .venv >/dev/null 2>&1; } \
	|| { rm -rf .venv; echo "No environment can be made: install Python's venv module (Debian: apt install python3-venv), uv or virtualenv." >&2; exit 1; }
endef
