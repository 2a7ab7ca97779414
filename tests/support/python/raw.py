"""A client that sends raw bytes over TLS, and prints the status of each response. Argument: port.

A line on stdin is a JSON list of strings, in which each character is one byte. The strings of a line are sent on one new
connection. After each one the client waits for a response.
"""

import json
import socket
import ssl
import sys


def answer(connection):
    """Reads a response, with or without Content-Length, and returns its status."""
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
