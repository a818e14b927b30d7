# `just` alone lists the recipes. It is on PyPI as rust-just.

default:
    @just --list

# Format, lint, quick tests.
dev:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo nextest run --workspace

# Checks each set of features that has to compile.
features:
    cargo check --package asset-gateway
    cargo check --package asset-gateway --features full
    cargo check --package asset-gateway --no-default-features --features sled,opendal
    cargo check --package asset-gateway --no-default-features --features sled,aws
    cargo check --package asset-gateway --no-default-features --features redis,opendal
    cargo check --package asset-gateway --no-default-features --features redis,aws

# Microbenchmarks; docs/benchmarks.md has figures. Whole processes beside nginx: benches/load/run.sh.
bench:
    cargo bench --workspace

# Sends requests to a running gateway and prints their rate: just load URL [SECONDS].
load url seconds="10":
    #!/usr/bin/env bash
    set -euo pipefail
    end=$((SECONDS + {{seconds}})); requests=0
    while [ $SECONDS -lt $end ]; do
        curl -fsS --no-progress-meter --parallel --parallel-immediate -o /dev/null '{{url}}?[1-100]'
        requests=$((requests + 100))
    done
    echo "$((requests / {{seconds}})) requests per second"

# 50,000 and more cases against /openapi.json: needs `st` (PyPI: schemathesis, the version of scripts/test).
schemathesis examples="3200":
    cargo build --features full
    scripts/schemathesis "${CARGO_TARGET_DIR:-target}/debug/asset-gateway" --max-examples {{examples}} --continue-on-failure

# Advisories, bans, licences, sources: needs cargo-deny.
deny:
    cargo deny --locked check --hide-inclusion-graph
    cargo deny --locked --manifest-path fuzz/Cargo.toml --config deny.toml check --hide-inclusion-graph

# Runs fuzz targets, each for some seconds: just fuzz 600 range template; without names, all of them. Needs
# cargo-fuzz and a C++ compiler. Uses the stable compiler, without a sanitizer.
fuzz seconds="600" *targets:
    #!/usr/bin/env bash
    set -euo pipefail
    targets="{{targets}}"
    for target in ${targets:-$(cargo fuzz list)}; do
        cargo fuzz run --sanitizer none "$target" fuzz/corpus/"$target" -- -max_total_time={{seconds}} \
            -max_len=4096 -timeout=60 -dict=fuzz/dictionaries/"$target".dict
    done

# Reduces the corpora of the targets to the inputs that they need.
fuzz-minimise *targets:
    #!/usr/bin/env bash
    set -euo pipefail
    targets="{{targets}}"
    for target in ${targets:-$(cargo fuzz list)}; do
        cargo fuzz cmin --sanitizer none "$target"
    done
