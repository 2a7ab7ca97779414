"""Compares what tlscope saw in scripts/test-vm with what nginx logged; the console of the machine is the argument."""

import json
import sys
from collections import Counter

EXPECTED = Counter({"HTTP/1.1": 5 + 2 + 5 + 2, "HTTP/2.0": 3})  # here, reloaded, forked, executed

kinds = {"KERNEL": [], "EXIT": [], "MESSAGE": [], "LOG": [], "LINE": []}
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    kind, _, rest = line.rstrip("\n").partition(" ")
    kinds.get(kind, []).append(rest)


def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


server, client, workers, protocols = [], [], {}, Counter()
for line in kinds["LOG"]:
    request, host, port, own, protocol, pid, path = line.split()
    peer, listener = address(host, port), address(own, 8443)
    server.append((request, path, listener, peer, int(pid)))
    if path.startswith("/small/"):
        client.append((request, path, peer, listener))
    workers.setdefault(path.startswith(("/reloaded", "/small/")), set()).add(pid)
    protocols[protocol] += 1

lines = [json.loads(line) for line in kinds["LINE"]]
seen = {"server": [], "client": []}
for line in lines:
    if line["type"] == "exchange":
        ends = [line["connection"].get(end) for end in ("local", "remote")]
        facts = (line.get("request_id"), line.get("request", {}).get("path"), *ends)
        seen[line["side"]].append(facts + ((line["pid"],) if line["side"] == "server" else ()))

lossless = any("half=0 lost_records=0 lost_bytes=0" in message for message in kinds["MESSAGE"])
wrong = {
    "the exit code": kinds["EXIT"] != ["0"],
    "what nginx has served": protocols != EXPECTED,
    "the workers of the reload": not workers.get(True) or bool(workers[True] & workers.get(False, set())),
    "exchanges of the server": Counter(seen["server"]) != Counter(server),
    "exchanges of the clients": Counter(seen["client"]) != Counter(client),
    "the totals": not lossless,
}
if any(wrong.values()):
    for side, facts in (("server", server), ("client", client)):
        print(side, "missing", sorted(set(facts) - set(seen[side]), key=str), file=sys.stderr)
        print(side, "extra", sorted(set(seen[side]) - set(facts), key=str), file=sys.stderr)
    sys.exit("wrong: " + ", ".join(name for name, is_wrong in wrong.items() if is_wrong))
count = len(server) + len(client)
print(f"Linux {kinds['KERNEL'][0]}: {count} exchanges, each with its id, its process and both addresses")
