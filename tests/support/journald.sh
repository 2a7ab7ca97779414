# Runs journald on file systems in memory, and replays tapes to its socket: journald.sh FOLDER TLSCOPE TAPE...
#
# Called in a mount namespace of its own, so that the machine's journal is left alone. What tlscope prints is in FOLDER/printed,
# what the journal has of it in FOLDER/journal.
set -eu
folder=$1 tlscope=$2
shift 2
mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/log/journal
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nAudit=no\n' >/run/journald.conf
mount --bind /run/journald.conf /etc/systemd/journald.conf
/lib/systemd/systemd-journald >"$folder/journald.log" 2>&1 &
journald=$!
trap 'kill "$journald"' EXIT
wait_for() { # COMMAND...: for at most a minute
  for _ in $(seq 600); do
    if "$@"; then return; fi
    sleep 0.1
  done
  return 1
}
entries() { journalctl -D /run/log/journal -t tlscope -o cat --all >"$folder/journal" 2>/dev/null; }
has_all() { entries && [ "$(wc -l <"$folder/journal")" -ge "$(wc -l <"$folder/printed")" ]; }
wait_for test -S /run/systemd/journal/dev-log
for tape in "$@"; do
  "$tlscope" replay "$tape" -o json --syslog unix:///run/systemd/journal/dev-log >>"$folder/printed"
done
wait_for has_all
