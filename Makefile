# make demo     build, and show the main job
# make test     install what the tests need, and run them all
# make install  PREFIX=/usr/local DESTDIR=
# make bench    whole processes against the peers that apt has
# make compare  IMAGES=DIR: each DIR/NAME.oci unpacked by us and by umoci, entry by entry
# make fuzz     FUZZ_SECONDS=60 for each of TARGETS="layer archive ..."; needs g++
# make order    write anew which functions lie side by side in a release; takes some minutes
# make lint unit pipelines pages test-vm stress man completions clean

PREFIX = /usr/local
DESTDIR =
CARGO = cargo

host := $(shell rustc -vV | sed -n 's/^host: //p')
debug := $(CURDIR)/target/$(host)/debug
release := $(CURDIR)/target/$(host)/release
bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man
sharedir = $(DESTDIR)$(PREFIX)/share

.PHONY: order compare all build release demo test check unit pipelines pages stress lint man completions install bench bench-images fuzz test-vm vm deps clean

all: release

build:
	$(CARGO) build --workspace

release:
	$(CARGO) build --workspace --release

demo: build
	tests/deps.sh busybox-static
	PATH="$(debug):$$PATH" tests/demo.sh

test: deps build unit pipelines pages test-vm

deps:
	tests/deps.sh

# nextest where it is installed: it runs each test in a process of its own. With CI set, as in
# pipelines and test-vm, what fails runs once more and is named.
unit:
	if $(CARGO) nextest --version >/dev/null 2>&1; then $(CARGO) nextest run --workspace $(if $(CI),--retries 1); \
	else $(CARGO) test --workspace; fi

pipelines: build
	PATH="$(debug):$$PATH" tests/run.sh $(TESTS)

pages: build
	PATH="$(debug):$$PATH" tests/pages.sh

# Many processes on one store, for a minute.
stress: build
	PATH="$(debug):$$PATH" STRESS_SECONDS=60 tests/run.sh stress

# Machines with other cgroups than this one, one boot each: BOOTS="v2 systemd systemd-v1".
test-vm: build
	PATH="$(debug):$$PATH" tests/vm/test.sh $(BOOTS)

vm: test-vm

lint: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	shellcheck -x .ci/run tests/*.sh tests/*/*.sh

man:
	$(CARGO) run -q -p tests --bin pages -- man man

completions:
	$(CARGO) run -q -p tests --bin pages -- completions target/completions

# The dispatcher finds its tools beside itself.
install: release completions
	install -d $(bindir) $(mandir)/man1 $(mandir)/man7 $(sharedir)/stave \
	  $(sharedir)/bash-completion/completions $(sharedir)/zsh/site-functions $(sharedir)/fish/vendor_completions.d
	for tool in tools/*; do name=$${tool##*/}; [ $$name = stave ] || name=stave-$$name; \
	  install -m 755 $(release)/$$name $(bindir)/ || exit; done
	install -m 644 man/*.1 $(mandir)/man1/
	install -m 644 man/*.7 $(mandir)/man7/
	install -m 644 man/stave-document.schema.json $(sharedir)/stave/
	install -m 644 target/completions/*.bash $(sharedir)/bash-completion/completions/
	install -m 644 target/completions/_* $(sharedir)/zsh/site-functions/
	install -m 644 target/completions/*.fish $(sharedir)/fish/vendor_completions.d/

bench: release
	tests/deps.sh crun runc podman bubblewrap jq busybox-static python3
	PATH="$(release):$$PATH" tests/bench/run.sh

# IMAGES=DIR: where app.oci is, or will be made, from Debian packages alone.
bench-images: release
	tests/deps.sh docker-registry skopeo umoci python3
	[ -d "$(IMAGES)/app.oci" ] || tests/bench/make-images.sh "$(IMAGES)"
	PATH="$(release):$$PATH" tests/bench/images.sh "$(IMAGES)"

order: build
	tests/deps.sh jq busybox-static
	PATH="$(debug):$$PATH" tests/bench/order.sh

compare: build
	PATH="$(debug):$$PATH" tests/compare.sh "$(IMAGES)"

fuzz:
	tests/fuzz/run.sh $(TARGETS)

clean:
	$(CARGO) clean
