"""A client whose connections differ in TLS and in how they end. Arguments: port, and a description of each connection.

A description is a TLS version, an ALPN protocol, a server name (`-` for none) and an ending, separated by commas: `close`
(the client closes first), `wait` (the server closes first), `reset` or `open` (until the program ends). Each connection has
three requests. For each connection the client prints `connection`, its own address, and the bytes of plaintext that it sent
and received.
"""

import os
import socket
import ssl
import struct
import sys

port, ways = int(sys.argv[1]), [word.split(",") for word in sys.argv[2:]]
REQUESTS = 3
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
kept = []


def connect(version, alpn, name):
    context = ssl._create_unverified_context()
    context.minimum_version = context.maximum_version = VERSIONS[version]
    if alpn != "-":
        context.set_alpn_protocols([alpn])
    plain = socket.create_connection(("127.0.0.1", port))
    return context.wrap_socket(plain, server_hostname=None if name == "-" else name)


def ask(connection, request_id, last):
    close = "Connection: close\r\n" if last else ""
    head = f"GET /small/{request_id} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {request_id}\r\n{close}\r\n"
    connection.sendall(head.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\nsmall\n"):
        more = connection.recv(4096)
        assert more, answer
        answer += more
    return len(head), len(answer)


def end(connection, ending):
    if ending == "wait":
        assert connection.recv(1) == b""
        # The server has ended TLS. What ends the connection of TCP may come later.
        with socket.socket(fileno=os.dup(connection.fileno())) as plain:
            assert plain.recv(1) == b""
    if ending == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if ending == "open":
        kept.append(connection)
    else:
        connection.close()


print("up", flush=True)
sys.stdin.readline()
for number, (version, alpn, name, ending) in enumerate(ways):
    connection = connect(version, alpn, name)
    host, own_port = connection.getsockname()
    last = REQUESTS - 1 if ending == "wait" else None
    counts = [ask(connection, f"{number}-{each}", each == last) for each in range(REQUESTS)]
    print("connection", f"{host}:{own_port}", *map(sum, zip(*counts)), flush=True)
    end(connection, ending)
print("done", flush=True)
sys.stdin.read()
