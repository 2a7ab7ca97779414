# Runs journald on file systems in memory, and a command beside it: journald.sh FOLDER FORMAT ENTRIES COMMAND...
#
# Called in a mount namespace of its own, so that the machine's journal is left alone. What the command prints is in
# FOLDER/printed. What the journal has of tlscope is in FOLDER/journal, in a format of journalctl, once that are as many entries as
# are given, and as lines were printed.
set -eu
folder=$1 format=$2 least=$3
shift 3
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
entries() { journalctl -D /run/log/journal -t tlscope -o "$format" --all >"$folder/journal" 2>/dev/null; }
has_all() {
  entries && has=$(wc -l <"$folder/journal") && [ "$has" -ge "$least" ] && [ "$has" -ge "$(wc -l <"$folder/printed")" ]
}
wait_for test -S /run/systemd/journal/socket
wait_for test -S /run/systemd/journal/dev-log
"$@" >"$folder/printed"
wait_for has_all
