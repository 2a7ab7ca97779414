"""A client that sends what it is given, byte for byte, on TLS connections of its own, and says how that was answered.

A line is a list of strings in JSON, each character one byte: what is sent on one connection, one answer awaited after each.
"""

import json
import socket
import ssl
import sys


def answer(connection):
    """Reads a response without content, or with content of a length, and gives its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return "none"
        data += more
    head, content = data.split(b"\r\n\r\n", 1)
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while lengths and len(content) < int(lengths[0]):
        more = connection.recv(65536)
        if not more:
            break
        content += more
    return head.split(b" ")[1].decode()


def main():
    port = int(sys.argv[1])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    print("up", flush=True)
    for line in sys.stdin:
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", port))) as connection:
            for request in json.loads(line):
                try:
                    connection.sendall(request.encode("latin-1"))
                    print("answered", answer(connection), flush=True)
                except OSError:
                    print("answered none", flush=True)


if __name__ == "__main__":
    main()
