#!/usr/bin/env bash
# OCI archives of every program, without a container engine: images.sh <folder of the programs> <folder for the archives> [tag]
# References are meterway.local/meterway/<program>:<tag>. Programs that were not built are named and left out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?say where the programs are} out=${2:?say where the archives go} tag=${3:-dev}
readonly PROGRAMS=(ingest validate parquet-sink redshift-loader alert metadata dashboard meterway)

mkdir -p "$out"
for program in "${PROGRAMS[@]}"; do
  folders=()
  [[ $program == dashboard ]] && folders=("$here/../../web/dist=usr/share/meterway/web")
  if [[ ! -x $bin/$program ]]; then
    echo "$program: not built, left out"
  elif [[ $out/$program.tar -nt $bin/$program && $out/$program.tar -nt $here/image.py && $(cat "$out/$program.tag" 2>/dev/null) == "$tag" ]]; then
    echo "$program: unchanged"
  else
    python3 "$here/image.py" "$out/$program.tar" "meterway.local/meterway/$program:$tag" "$bin/$program" "${folders[@]}"
    echo "$tag" >"$out/$program.tag"
  fi
done
