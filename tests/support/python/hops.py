"""Sends requests over many kept connections to a gateway.

Arguments: port, path, connections, requests on each, the X-Request-ID (`none`, `own` or `shared`), and `ready` or `busy`.
`NUMBER` in the path is replaced by a unique number, which is also in X-Probe. With `shared`, four requests at a time have the
same X-Request-ID. With `busy`, each connection is in use until another line is read, with numbers that begin with `early-`, and
has its requests after that.
"""

import concurrent.futures
import itertools
import socket
import ssl
import sys
import threading

port, path, connections, requests, ids, when = sys.argv[1:]
connections, requests = int(connections), int(requests)
context = ssl._create_unverified_context()
busy = threading.Barrier(connections + 1)
ready = threading.Event()


def exchange(file, probe, shared):
    head = f"GET {path.replace('NUMBER', probe)} HTTP/1.1\r\nHost: gateway.test\r\n"
    head += f"X-Probe: {probe}\r\nX-Dropped: 1\r\nX-Changed: before\r\nAuthorization: Bearer pLanted07\r\n"
    if ids != "none":
        head += f"X-Request-ID: {probe if ids == 'own' else shared}\r\n"
    file.write(head.encode() + b"\r\n")
    file.flush()
    status = file.readline().split()[1].decode()
    length, chunked = 0, False
    while (line := file.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        chunked |= line == b"transfer-encoding: chunked"
    file.read(length)
    while chunked and (length := int(file.readline(), 16) + 2) != 2:
        file.read(length)
    if chunked:
        file.readline()
    # One call for the whole line, since several threads write.
    sys.stdout.write(f"status {status}\n")
    sys.stdout.flush()


def ask(connection):
    plain = socket.create_connection(("127.0.0.1", int(port)))
    with context.wrap_socket(plain) as secure, secure.makefile("rwb") as file:
        for number in itertools.count() if when == "busy" else ():
            exchange(file, f"early-{connection}-{number}", f"{connection // 4}-early-{number}")
            if number == 0:
                busy.wait()
            if ready.is_set():
                break
        for number in range(requests):
            exchange(file, f"{connection}-{number}", f"{connection // 4}-{number}")


print("up", flush=True)
sys.stdin.readline()
with concurrent.futures.ThreadPoolExecutor(connections) as threads:
    asked = [threads.submit(ask, connection) for connection in range(connections)]
    if when == "busy":
        busy.wait()
        print("all busy", flush=True)
        sys.stdin.readline()
        ready.set()
    for one in asked:
        one.result()
print("done", flush=True)
sys.stdin.read()
