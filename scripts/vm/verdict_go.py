"""Compares the output of tlscope with what servers and clients in Go have logged. The arguments are the console of the machine
of scripts/test-aarch64, and the names of the programs that it traced."""

import json
import sys
from collections import Counter

REQUESTS = 100  # of each run, by init

RUNS = [f"{program}-{run}" for program in sys.argv[2:] for run in ("auto-h1", "exit-h2")]
PROTOCOLS = {"h1": "http/1.1", "h2": "http/2"}
SIDES = {"served": "server", "asked": "client"}

runs = {name: {"SERVER": [], "CLIENT": [], "EXIT": [], "MESSAGE": [], "LOG": [], "LINE": []} for name in RUNS}
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    if line.startswith("GO "):
        _, name, kind, text = line.rstrip("\n").split(" ", 3)
        runs[name][kind].append(text)


def logged(line):
    word, request, *addresses = line.split()
    host, port, peer_host, peer_port = addresses
    return SIDES[word], request, f"{host}:{port}", f"{peer_host}:{peer_port}"


def printed(exchange):
    where = exchange["connection"]
    return exchange["side"], exchange.get("request_id"), where.get("local"), where.get("remote")


def is_whole(exchange, protocol, ends):
    # An exchange of more than a second is printed before it ends, and followed by an `end` line.
    ended = exchange.get("ended", ends.get(exchange["id"]))
    facts = exchange["tls"], exchange["protocol"], ended, exchange.get("response", {}).get("status")
    return facts == ("go", protocol, "complete", 200)


def faults(name, run):
    log, lines = Counter(map(logged, run["LOG"])), [json.loads(line) for line in run["LINE"]]
    exchanges = [line for line in lines if line["type"] == "exchange"]
    ends = {line["id"]: line["ended"] for line in lines if line["type"] == "end"}
    seen = Counter(map(printed, exchanges))
    protocol = PROTOCOLS[name.rsplit("-", 1)[1]]
    lossless = f"exchanges={2 * REQUESTS} half=0 lost_records=0 lost_bytes=0"
    if log != seen:
        print(name, "missing", sorted(log - seen, key=str)[:4], "extra", sorted(seen - log, key=str)[:4], file=sys.stderr)
    wrong = {
        "the exit codes": run["SERVER"] + run["CLIENT"] + run["EXIT"] != ["0"] * 3,
        "the requests": Counter(side for side, *_ in log.elements()) != Counter(server=REQUESTS, client=REQUESTS),
        "the exchanges": log != seen,
        "what is known of them": not all(is_whole(exchange, protocol, ends) for exchange in exchanges),
        "other lines": len(lines) != len(exchanges) + len(ends),
        "the totals": not any(lossless in text for text in run["MESSAGE"]),
    }
    return [f"{name}: {what}" for what, is_wrong in wrong.items() if is_wrong]


wrong = [fault for name, run in runs.items() for fault in faults(name, run)]
if wrong:
    sys.exit("wrong: " + ", ".join(wrong))
print(f"Go: {2 * REQUESTS} exchanges in each of {len(RUNS)} runs, each with the right id and addresses: {', '.join(RUNS)}")
