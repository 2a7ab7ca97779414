"""Compares what tlscope saw in scripts/test-vm with what nginx logged; the console of the machine is the argument."""

import json
import sys

kinds = {"KERNEL": [], "EXIT": [], "MESSAGE": [], "LOG": [], "LINE": []}
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    kind, _, rest = line.rstrip("\n").partition(" ")
    kinds.get(kind, []).append(rest)

logged = sorted(tuple(line.split()) for line in kinds["LOG"])
lines = [json.loads(line) for line in kinds["LINE"]]
seen = sorted((line["request_id"], line["connection"]["remote"]) for line in lines if line["type"] == "exchange")
lossless = any("half=0 lost_records=0 lost_bytes=0" in message for message in kinds["MESSAGE"])
if kinds["EXIT"] != ["0"] or len(logged) != 4 or seen != logged or not lossless:
    sys.exit(f"logged {logged}, seen {seen}, exit code {kinds['EXIT']}, lossless {lossless}")
print(f"Linux {kinds['KERNEL'][0]}: {len(seen)} exchanges, each with its id and its client's address")
