#!/usr/bin/env bash
# Pictures of every page of the installation whose settings are in the environment, into docs/screenshots.
set -euo pipefail
export METERWAY_SCREENSHOTS METERWAY_E2E_ONLY=screenshots
METERWAY_SCREENSHOTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local/screenshots
rm -rf "$METERWAY_SCREENSHOTS"
"$(dirname "${BASH_SOURCE[0]}")/specs.sh"
# The documentation shows a choice of them.
mkdir -p docs/screenshots
for name in overview-wide-light live-wide-light device-wide-light alerts-wide-light completeness-wide-light pipeline-wide-light \
  consumption-wide-dark device-phone-light overview-phone-dark; do
  cp "$METERWAY_SCREENSHOTS/$name.png" docs/screenshots/
done
echo "all of them: $METERWAY_SCREENSHOTS"
