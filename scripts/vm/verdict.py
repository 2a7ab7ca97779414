"""Compares the output of tlscope with the log of nginx. The arguments are the console of the machine of scripts/test-vm, and
the kinds of hooks that it traced with one by one."""

import json
import sys
from collections import Counter

EXPECTED = Counter({"HTTP/1.1": 5 + 2 + 5 + 2, "HTTP/2.0": 3})  # init, after the reload, fork, exec

HOOKS = {hooks: Counter() for hooks in sys.argv[2].split(",") if hooks}  # what differs with each kind alone

kinds = {"KERNEL": [], "KTLS": [], "EXIT": [], "MESSAGE": [], "LOG": [], "LINE": [], "UNIX": [], "HOOKS": []}
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
    # An exchange of more than a second is printed before it ends, and followed by an `end` line.
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
        # curl has a BIO of its own, which needs more probes. The first curl may end before they are placed.
        excused = line["side"] == "client" and "/small/exec-" in str(facts[1]) and "reason" in where
        if excused and facts[2:] == (None, None):
            seen["client"].pop()
            unnamed.append(facts[:2])

for line in kinds["HOOKS"]:
    hooks, kind, text = line.split(" ", 2)
    if kind == "LOG":
        request, host, port, own, _, pid, path = text.split()
        HOOKS[hooks][request, path, address(own, 8444), address(host, port), int(pid)] += 1
    elif kind == "LINE":
        exchange = json.loads(text)
        where, path = exchange.get("connection", {}), exchange.get("request", {}).get("path")
        HOOKS[hooks][exchange.get("request_id"), path, where.get("local"), where.get("remote"), exchange.get("pid")] -= 1
    elif kind == "EXIT" and text != "0" or "exchanges=" in text and "exchanges=7 half=0 lost_records=0 lost_bytes=0" not in text:
        HOOKS[hooks][text] += 1
traced = {hooks for hooks, differences in HOOKS.items() if not any(differences.values())}
traced &= {line.split(" ", 2)[0] for line in kinds["HOOKS"] if " MESSAGE tlscope: exchanges=7 " in line}

unix = [exchange for exchange in map(json.loads, kinds["UNIX"]) if exchange.get("tls") == "none"]
unix = Counter((exchange["side"], exchange.get("ended"), exchange["response"]["body_bytes"]) for exchange in unix)

known = client
client = [facts for facts in known if facts[:2] not in unnamed]
release = tuple(int(number) for number in kinds["KERNEL"][0].split(".")[:2])
# If the kernel lacks TLS or the cipher, OpenSSL encrypts itself, and nginx does not call SSL_sendfile.
encrypts = kinds["KTLS"] not in ([], [""], ["0"])
lossless = any("half=0 lost_records=0 lost_bytes=0" in text for text in kinds["MESSAGE"])
# Without return probes, no process need be scanned before it is traced, and none is refused for its seccomp filter.
delayed = [text for text in kinds["MESSAGE"] if "is scanned" in text or "seccomp" in text]
wrong = {
    "the exit code": kinds["EXIT"] != ["0"],
    "the requests that nginx served": protocols != EXPECTED,
    "the workers of the reload": not workers.get(True) or bool(workers[True] & workers.get(False, set())),
    "the exchanges of the server": Counter(seen["server"]) != Counter(server),
    "the notices about new processes": bool(delayed),
    "the exchanges of the clients": Counter(seen["client"]) != Counter(client)
    or len(client) + len(unnamed) != len(known),
    "the totals": not lossless,
    "the bytes sent by SSL_sendfile": sent["passed"] != (sent["whole"] if encrypts else 0),
    "what each kind of hooks shows": traced != set(HOOKS),
    "the responses that end with UNIX sockets": release >= (6, 3)
    and unix != Counter({("client", "complete", 4): 3, ("server", "complete", 4): 3}),
    "kernel TLS": release == (6, 1) and not encrypts,
}
if any(wrong.values()):
    for side, facts in (("server", server), ("client", client)):
        print(side, "missing", sorted(set(facts) - set(seen[side]), key=str), file=sys.stderr)
        print(side, "extra", sorted(set(seen[side]) - set(facts), key=str), file=sys.stderr)
    print("unix", dict(unix), file=sys.stderr)
    print("hooks", {hooks: {what: by for what, by in found.items() if by} for hooks, found in HOOKS.items()}, file=sys.stderr)
    sys.exit("wrong: " + ", ".join(name for name, is_wrong in wrong.items() if is_wrong))
print(
    f"Linux {kinds['KERNEL'][0]}: {len(server)} exchanges of nginx, {len(seen['client'])} of {len(known)} of later"
    f" processes, each with the right id and addresses; {len(unnamed)} more without addresses and with a reason;"
    f" 7 more of nginx with each of --hooks {', '.join(sorted(traced)) or '(none asked for)'}"
)
