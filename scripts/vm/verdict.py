"""Compares what tlscope saw in scripts/test-vm with what nginx logged; the console of the machine is the argument."""

import json
import sys
from collections import Counter

EXPECTED = Counter({"HTTP/1.1": 5 + 2 + 5 + 2, "HTTP/2.0": 3})  # here, reloaded, forked, executed

kinds = {"KERNEL": [], "KTLS": [], "EXIT": [], "MESSAGE": [], "LOG": [], "LINE": []}
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

seen, unnamed, sent, large = {"server": [], "client": []}, [], {"whole": 0, "passed": 0}, set()
for line in (json.loads(line) for line in kinds["LINE"]):
    if line["type"] == "loss" and line["cause"] == "sendfile":
        sent["passed"] += line["bytes"]
    # One that takes longer than a second is printed before it ends; then a line says how.
    if line["type"] == "end" and line["id"] in large and line["ended"] == "complete":
        sent["whole"] += line["response"]["body_bytes"]
    if line["type"] == "exchange":
        if line.get("request", {}).get("path") == "/large":
            large.add(line["id"])
            if line.get("ended") == "complete":
                sent["whole"] += line["response"]["body_bytes"]
        where = line["connection"]
        facts = (line.get("request_id"), line.get("request", {}).get("path"), where.get("local"), where.get("remote"))
        seen[line["side"]].append(facts + ((line["pid"],) if line["side"] == "server" else ()))
        # The first program that needs more probes than its parent may be gone before they are there.
        excused = line["side"] == "client" and "/small/exec-" in str(facts[1]) and "reason" in where
        if excused and facts[2:] == (None, None):
            seen["client"].pop()
            unnamed.append(facts[:2])

known = client
# Some kernels do not let the first thing that a new process does be seen; tlscope says so, and nothing may be wrong.
late = any("begins later" in message for message in kinds["MESSAGE"])
# There, what is seen of a program may begin with its request and end before the response, which brings the id.
halves = {path for request, path in unnamed if late and request is None}
client = [facts for facts in known if facts[:2] not in unnamed and facts[1] not in halves]
release = tuple(int(number) for number in kinds["KERNEL"][0].split(".")[:2])
# Where the kernel lacks what OpenSSL asks for, OpenSSL encrypts by itself, and nginx does not send by SSL_sendfile.
encrypts = kinds["KTLS"] not in ([], [""], ["0"])
client_is_wrong = Counter(seen["client"]) != Counter(client)
if late:
    whole = [facts for facts in seen["client"] if None not in facts]
    client_is_wrong = bool(Counter(whole) - Counter(client))
lossless = any(("" if late else "half=0 ") + "lost_records=0 lost_bytes=0" in text for text in kinds["MESSAGE"])
wrong = {
    "the exit code": kinds["EXIT"] != ["0"],
    "what nginx has served": protocols != EXPECTED,
    "the workers of the reload": not workers.get(True) or bool(workers[True] & workers.get(False, set())),
    "exchanges of the server": Counter(seen["server"]) != Counter(server),
    "what is said of processes that begin later": late != ((6, 11) <= release <= (6, 13)),
    "exchanges of the clients": client_is_wrong or len(client) + len(unnamed) != len(known),
    "the totals": not lossless,
    "what SSL_sendfile sent": sent["passed"] != (sent["whole"] if encrypts else 0),
    "kernel TLS": release == (6, 1) and not encrypts,
}
if any(wrong.values()):
    for side, facts in (("server", server), ("client", client)):
        print(side, "missing", sorted(set(facts) - set(seen[side]), key=str), file=sys.stderr)
        print(side, "extra", sorted(set(seen[side]) - set(facts), key=str), file=sys.stderr)
    sys.exit("wrong: " + ", ".join(name for name, is_wrong in wrong.items() if is_wrong))
print(
    f"Linux {kinds['KERNEL'][0]}: {len(server)} exchanges of nginx, {len(seen['client'])} of {len(known)} of processes"
    f" that began later, each with its id and true addresses; {len(unnamed)} more with a reason for having none"
)
