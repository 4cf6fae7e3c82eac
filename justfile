# The commands of every day; `just` lists them. Each is one line that can be typed by hand as well.

# Lists what there is.
default:
    @just --list

# Installs what the tests talk to: real servers, from Debian.
setup:
    .ci/setup

# Runs the daemon with throw-away certificates and development secrets.
dev:
    cargo run --no-default-features -- dev

# Runs the tests, or those whose name contains FILTER.
test *FILTER:
    .ci/test {{ FILTER }}

# Formatting, lints, docs, licences and sources: what .ci/run asks beside the tests.
lint:
    .ci/lint

# Everything that has to pass before a change lands.
ci:
    .ci/run

# Measures receiving and delivering beside a bare echo; options after `--`.
bench *OPTIONS:
    cargo bench --bench receive -- {{ OPTIONS }}
    cargo bench --bench deliver -- {{ OPTIONS }}

# Debian package, tarball, bill of materials and checksums, in target/dist; options after `--`.
dist *OPTIONS:
    .ci/dist {{ OPTIONS }}

# Builds the shipped Dockerfile and tests it and deploy/compose.yaml in this machine's Docker engine.
container:
    .ci/container
