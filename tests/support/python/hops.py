"""Sends requests over many kept connections to a gateway.

Arguments: port, path, connections, requests on each, and the X-Request-ID: `none`, `own` or `shared`. `NUMBER` in the path is
replaced by a unique number, which is also in X-Probe. With `shared`, four requests at a time have the same X-Request-ID.
"""

import concurrent.futures
import socket
import ssl
import sys

port, path, connections, requests, ids = sys.argv[1:]
connections, requests = int(connections), int(requests)
context = ssl._create_unverified_context()


def ask(connection):
    plain = socket.create_connection(("127.0.0.1", int(port)))
    with context.wrap_socket(plain) as secure, secure.makefile("rwb") as file:
        for number in range(requests):
            probe = f"{connection}-{number}"
            head = f"GET {path.replace('NUMBER', probe)} HTTP/1.1\r\nHost: gateway.test\r\n"
            head += f"X-Probe: {probe}\r\nX-Dropped: 1\r\nX-Changed: before\r\nAuthorization: Bearer pLanted07\r\n"
            if ids != "none":
                head += f"X-Request-ID: {probe if ids == 'own' else f'{connection // 4}-{number}'}\r\n"
            file.write(head.encode() + b"\r\n")
            file.flush()
            status = file.readline().split()[1].decode()
            length = 0
            while (line := file.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            file.read(length)
            print("status", status, flush=True)


print("up", flush=True)
sys.stdin.readline()
with concurrent.futures.ThreadPoolExecutor(connections) as threads:
    list(threads.map(ask, range(connections)))
print("done", flush=True)
sys.stdin.read()
