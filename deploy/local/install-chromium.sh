#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests and the screenshots; installs Debian's where there is none.
# With root through apt; without, the packages are unpacked into .local/chromium and nothing else is touched.
# METERWAY_CHROMIUM names another browser; METERWAY_CHROMIUM=unpack asks for the second way.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
logs=$home/setup-logs
folder=$home/chromium

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

works() { [[ -x $1 ]] && "$1" --version >/dev/null 2>&1; }

installed() {
  local name
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    if name=$(command -v "$name") && works "$name"; then
      printf '%s\n' "$name"
      return 0
    fi
  done
  return 1
}

install_with_apt() {
  say "Chromium is missing: installing Debian's package (about 100 MB)"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } \
    >"$logs/chromium.log" 2>&1
}

# What `apt-get install` would have installed, fetched and unpacked instead.
unpack() {
  say "Chromium is missing: unpacking Debian's package and what it needs into $folder (about 100 MB)"
  local packages=$folder/packages
  rm -rf "$folder" && mkdir -p "$packages" &&
    (cd "$packages" && apt-get download $(needed)) >"$logs/chromium.log" 2>&1 &&
    for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$folder/root"; done &&
    rm -rf "$packages" && write_wrapper
}

needed() {
  { printf '%s\n' chromium chromium-common fonts-dejavu-core; apt-get -s install --no-install-recommends chromium; } |
    awk '/^Inst / { print $2 } !/ / { print }' | sort -u
}

write_wrapper() {
  cat >"$folder/chromium" <<WRAPPER
#!/bin/sh
root=$folder/root
export LD_LIBRARY_PATH=\$root/usr/lib/$(uname -m)-linux-gnu:\$root/usr/lib/chromium
export XDG_DATA_DIRS=\$root/usr/share:/usr/share
exec "\$root/usr/lib/chromium/chromium" "\$@"
WRAPPER
  chmod +x "$folder/chromium"
}

main() {
  local given=${METERWAY_CHROMIUM:-}
  if [[ -n $given && $given != unpack ]]; then
    works "$given" || fail "METERWAY_CHROMIUM=$given does not start."
    printf '%s\n' "$given"
  elif [[ -z $given ]] && installed; then
    return
  elif works "$folder/chromium"; then
    printf '%s\n' "$folder/chromium"
  else
    command -v apt-get >/dev/null || fail "No Chromium here, and no apt-get to get one: install one, or name it in METERWAY_CHROMIUM."
    mkdir -p "$logs"
    if ((EUID == 0)) && [[ -z $given ]]; then
      install_with_apt && installed && return
    else
      unpack && works "$folder/chromium" && printf '%s\n' "$folder/chromium" && return
    fi
    tail -n 12 "$logs/chromium.log" >&2
    fail "Chromium could not be installed (whole log: $logs/chromium.log): check the network and Debian's sources, or, as root: apt-get install chromium"
  fi
}

main
