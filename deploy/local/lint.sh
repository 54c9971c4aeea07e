#!/usr/bin/env bash
# Format, spelling and lints; every finding is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
step() { printf '\n== %s\n' "$*"; }

step "rustfmt"
cargo fmt --all --check
step "manifests"
.local/venv/bin/taplo fmt --check
step "spelling"
.local/venv/bin/typos
step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
