#!/usr/bin/env bash
# What is tried against one whole installation, whose settings are in the environment: the recipes for downstream teams, the
# specs of the page, and last, as it spoils the topic, an alert in a real Prometheus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
docs/recipes/run.sh
web/e2e/specs.sh
PYTHONDONTWRITEBYTECODE=1 .local/venv/bin/python deploy/prometheus/live.py "$(deploy/prometheus/install.sh)/prometheus"
