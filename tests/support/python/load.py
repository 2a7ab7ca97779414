"""Sends 2,000 requests over 50 connections: 25 are kept alive, and 25 have one request each.

Arguments: a path, and one or more addresses of the server with port. Each request has a unique X-Request-ID. Connections
alternate between the addresses, and between TLS 1.3 and 1.2. It logs each exchange.
"""

import concurrent.futures
import socket
import ssl
import sys

from exchange_log import log_exchange

PAIRS, REQUESTS = 25, 80
path, addresses = sys.argv[1], [word.rpartition(":") for word in sys.argv[2:]]


def context(version):
    made = ssl._create_unverified_context()
    made.maximum_version = version
    return made


contexts = [context(ssl.TLSVersion.TLSv1_3), context(ssl.TLSVersion.TLSv1_2)]


class Connection:
    def __init__(self, number):
        host, _, port = addresses[number % len(addresses)]
        plain = socket.create_connection((host.strip("[]"), int(port)))
        self.socket = contexts[number // len(addresses) % len(contexts)].wrap_socket(plain)
        self.file = self.socket.makefile("rwb")

    def ask(self, request_id, last=False):
        close = "Connection: close\r\n" if last else ""
        head = f"GET {path}{request_id} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {request_id}\r\n{close}\r\n"
        self.file.write(head.encode())
        self.file.flush()
        status, length = self.file.readline(), 0
        assert b" 200 " in status, status
        while (line := self.file.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert self.file.read(length) == b"small\n"
        log_exchange("asked", request_id, self.socket.getsockname(), self.socket.getpeername())

    def close(self):
        self.file.close()
        self.socket.close()


def ask_over_two_connections(pair):
    kept = Connection(pair)
    for number in range(REQUESTS - 1):
        kept.ask(f"{pair}-{number}")
        if number == pair:
            single = Connection(pair + 1)
            single.ask(f"{pair}-single", last=True)
            single.close()
    kept.close()


print("up", flush=True)
sys.stdin.readline()
with concurrent.futures.ThreadPoolExecutor(PAIRS) as threads:
    list(threads.map(ask_over_two_connections, range(PAIRS)))
print("done", flush=True)
sys.stdin.read()
