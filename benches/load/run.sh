#!/usr/bin/env bash
# Measures a release build as a whole process, beside nginx on the same files.
#
#   benches/load/run.sh [all|throughput|gigabyte|slow|streams] [BINARY]
#
# Needs nginx, wrk, curl, openssl and python3 (Debian: nginx-light wrk curl openssl python3), and
# 3 GiB below $TMPDIR. Compare ratios within one run: both servers and the client share the machine.
# Larger SECONDS_EACH (5) and ROUNDS (3) make the run longer and steadier.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
what=${1:-all}
binary=${2:-$here/../../target/release/asset-gateway}
seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
folder=$(mktemp -d)
read -r port metrics nginx_port < <(python3 -c '
import socket
s = [socket.socket() for _ in range(3)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
gateway=http://127.0.0.1:$port
nginx=http://127.0.0.1:$nginx_port
pids=()
stop() {
  kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

fill_in() { sed -e "s|FOLDER|$folder|g" -e "s|METRICS|$metrics|g" -e "s|PORT|$1|g" "$2"; }
mkdir "$folder/objects"
chmod 755 "$folder" "$folder/objects"
fill_in "$port" "$here/gateway.yaml" >"$folder/gateway.yaml"
fill_in "$nginx_port" "$here/nginx.conf" >"$folder/nginx.conf"
for size in 1K 64K 1M 64M; do head -c "$size" /dev/urandom >"$folder/objects/$size"; done
chmod 644 "$folder"/objects/*

start_gateway() {
  RUST_LOG=info,access=off "$binary" --config "$folder/gateway.yaml" >/dev/null 2>"$folder/gateway.log" &
  gateway_pid=$!
  pids+=("$gateway_pid")
  until curl -fs "$gateway/healthz" >/dev/null; do sleep 0.1; done
}
stop_gateway() {
  kill "$gateway_pid"
  wait "$gateway_pid" || true
}
# METHOD KEY → a new token
token() {
  curl -fs "$gateway/token" -H 'Authorization: Bearer load-test' -H 'Content-Type: application/json' \
    -d "{\"method\":\"$1\",\"bucket\":\"local\",\"key\":\"$2\",\"expire_at\":$(($(date +%s) + 86400))}" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])'
}
# Peak memory of the gateway since its start, in MiB.
peak() { awk '/VmHWM/ {printf "%.1f", $2 / 1024}' "/proc/$gateway_pid/status"; }

# PID… → CPU time of these processes, in clock ticks
ticks() {
  local pid
  for pid in "$@"; do cat "/proc/$pid/stat"; done | awk '{sum += $14 + $15} END {print sum}'
}
# URL PID… → requests per second, and CPU microseconds of these processes per request
rate() {
  local url=$1 before output
  shift
  before=$(ticks "$@")
  output=$(wrk -t1 -c64 -d"${seconds}s" "$url")
  grep -E 'Non-2xx|Socket errors' <<<"$output" >&2 || true
  awk -v ticks="$(($(ticks "$@") - before))" -v hertz="$(getconf CLK_TCK)" '
    /requests in/ {requests = $1} /Requests\/sec/ {rate = $2}
    END {printf "%s %.1f\n", rate, ticks / hertz / requests * 1e6}' <<<"$output"
}
# KEY → its URL behind secure_link
signed() {
  local md5
  md5=$(printf '%s' "4102444800/signed/$1 load-test" | openssl md5 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')
  echo "$nginx/signed/$1?md5=$md5&expires=4102444800"
}

throughput() {
  nginx -p "$folder" -e "$folder/nginx.log" -c "$folder/nginx.conf" &
  nginx_pid=$!
  pids+=("$nginx_pid")
  start_gateway
  until curl -fs "$nginx/plain/1K" -o /dev/null; do sleep 0.1; done
  # The workers serve the requests, so their CPU time counts.
  mapfile -t workers < <(pgrep -P "$nginx_pid")
  printf '%-5s %10s %10s %10s %14s %15s   %s\n' \
    size plain signed gateway gateway/plain gateway/signed 'CPU us: plain signed gateway'
  for size in 1K 64K 1M; do
    local url
    url=$gateway/object/$(token GET "$size")
    curl -fs "$(signed "$size")" | cmp - "$folder/objects/$size"
    curl -fs "$url" | cmp - "$folder/objects/$size"
    for _ in $(seq "$rounds"); do
      read -r plain plain_cpu < <(rate "$nginx/plain/$size" "${workers[@]}")
      read -r signed signed_cpu < <(rate "$(signed "$size")" "${workers[@]}")
      read -r ours our_cpu < <(rate "$url" "$gateway_pid")
      awk -v size="$size" -v p="$plain" -v s="$signed" -v o="$ours" \
        -v pc="$plain_cpu" -v sc="$signed_cpu" -v oc="$our_cpu" 'BEGIN {
          printf "%-5s %10.0f %10.0f %10.0f %14.2f %15.2f   %13.1f %6.1f %7.1f\n",
            size, p, s, o, o / p, o / s, pc, sc, oc }'
    done
  done
  stop_gateway
}

gigabyte() {
  start_gateway
  truncate -s 1G "$folder/1G"
  echo "at rest: $(peak) MiB"
  curl -fsS -T "$folder/1G" "$gateway/object/$(token PUT stored)" -o /dev/null \
    -w '1 GiB up: %{speed_upload} B/s, '
  echo "peak $(peak) MiB"
  curl -fsS "$gateway/object/$(token GET stored)" -o /dev/null -w '1 GiB down: %{speed_download} B/s, '
  echo "peak $(peak) MiB"
  rm "$folder/1G" "$folder/objects/stored"
  stop_gateway
}

slow() {
  start_gateway
  python3 "$here/slow_readers.py" 127.0.0.1 "$port" "/object/$(token GET 64M)" 500 32768 15
  echo "500 slow readers: peak $(peak) MiB"
  stop_gateway
}

streams() {
  start_gateway
  python3 "$here/slow_streams.py" 127.0.0.1 "$port" "/object/$(token GET 64M)" \
    "/object/$(token GET 1K)" 200 128 5 "$gateway_pid"
  stop_gateway
}

echo "$(nproc) cores, $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo), $(nginx -v 2>&1 | cut -d/ -f2), $(date +%Y-%m)"
case $what in
  all) throughput; gigabyte; slow; streams ;;
  throughput | gigabyte | slow | streams) "$what" ;;
  *) echo "usage: $0 [all|throughput|gigabyte|slow|streams] [BINARY]" >&2; exit 2 ;;
esac
