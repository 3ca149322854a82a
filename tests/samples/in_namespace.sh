# Run inside a network namespace of the test's own: gives it 100.100.100.200, serves the emulator
# there on port 80, puts one object, then runs the rest of the command line.
# usage: in_namespace.sh PYTHON FOLDER COMMAND…
set -eu
python=$1 folder=$2
shift 2
ip link set lo up
ip addr add 100.100.100.200/32 dev lo
# "local 100.100.100.200 dev lo …": anything else would leave this machine.
ip route get 100.100.100.200 | grep -q 'dev lo' || { echo 'not a namespace' >&2; exit 99; }
"$python" -m osssync emulate --bind 0.0.0.0 --allow-remote --metadata-port 80 --port 8080 \
  --bucket bucket --role EcsRamRoleDocumentTesting --imds-v2-only --lifetime 1h \
  --request-log "$folder/requests.ndjson" >"$folder/emulator.json" 2>"$folder/emulator.err" &
emulator=$!
trap 'kill $emulator; wait $emulator 2>/dev/null || :' EXIT
while [ ! -s "$folder/emulator.json" ]; do
  kill -0 $emulator
  "$python" -c 'import select; select.select([], [], [], 0.05)'
done
"$@"
