#!/usr/bin/env bash
# What is tried against one whole installation, whose settings are in the environment: the recipes for downstream teams, then the
# specs of the page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
docs/recipes/run.sh
web/e2e/specs.sh
