"""A server and a client that violate HTTP, over real TLS. Arguments: server; or client, port.

Both run the same cases, each on its own connection: the client sends the question of a case, the server the answer. A valid
exchange follows each case. All invalid data contains a planted secret. The server prints the number of cases.
"""

import os
import socket
import ssl
import sys

import hostile_http2
from server import context

GARBAGE = b"\n".join(os.urandom(1000) + b"pLanted" for _ in range(4000))
# tlscope prints this many fields of a head, and leaves out the others.
FIELDS = 512
FIELD = (b"shown", b"pLanted")
ASK = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nX-Request-ID: %s\r\nContent-Length: 0\r\n"

CASES = {
    "random": (GARBAGE, GARBAGE),
    "fields": (
        ASK % b"fields" + b"".join(b"X-%d: %s\r\n" % (n, FIELD[n >= FIELDS]) for n in range(10_000)) + b"\r\n",
        ANSWER % b"fields" + b"\r\n",
    ),
    "line": (ASK % b"line" + b"X-Long: " + b"pLanted" * 150_000 + b"\r\n\r\n", ANSWER % b"line" + b"\r\n"),
    "unasked": (b"", ANSWER % b"unasked" + b"\r\n"),
    "head": (b"GET /\x00\xff pLanted\r\nX\x01 pLanted: pLanted\r\n\r\n", b"HTTP/1.1 pLanted\r\npLanted\r\n\r\n"),
    "chunks": (
        ASK % b"chunks" + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Request-ID: chunks\r\nTransfer-Encoding: chunked\r\n\r\npLanted\r\n" + GARBAGE,
    ),
    "pending": ((ASK % b"pending" + b"\r\n") * 5_000, b""),
    "informational": (
        ASK % b"informational" + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n" * 10_000 + ANSWER % b"informational" + b"\r\n",
    ),
    "emptiness": (b"\r\n" * 100_000, b"\r\n" * 100_000),
}


def conversations():
    """Yields each case, followed by a valid exchange."""
    for number, case in enumerate([*CASES.values(), *hostile_http2.CASES.values()]):
        yield case
        name = b"ordinary-%d" % number
        yield ASK % name + b"\r\n", ANSWER % name + b"\r\n"


def serve():
    tls = context()
    print("up", flush=True)
    print("cases", len(CASES) + len(hostile_http2.CASES), flush=True)
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    for question, answer in conversations():
        connection = tls.wrap_socket(listener.accept()[0], server_side=True)
        left = len(question)
        while left > 0:
            left -= len(connection.recv(left))
        connection.sendall(answer)
        connection.close()


def ask(port):
    tls = ssl._create_unverified_context()
    print("up", flush=True)
    sys.stdin.readline()
    for question, _ in conversations():
        connection = tls.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        if question:
            connection.sendall(question)
        while connection.recv(65536):
            pass
        connection.close()
    print("done", flush=True)


if sys.argv[1] == "server":
    serve()
else:
    ask(int(sys.argv[2]))
sys.stdin.read()
