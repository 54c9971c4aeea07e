#!/usr/bin/env bash
# The specs against the installation whose settings are in the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export METERWAY_E2E_URL=${METERWAY_DASHBOARD_URL:?is not set: run real.sh}
npx --no-install playwright test --config e2e/playwright.config.ts ${METERWAY_E2E_ONLY:+"$METERWAY_E2E_ONLY"}
