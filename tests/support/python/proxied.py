"""An HTTPS server that accepts a PROXY protocol header inside TLS, as behind a balancer that forwards TLS."""

import socket
import sys
import threading

from server import context


def serve(connection):
    with connection:
        data = b""
        while more := connection.recv(65536):
            data += more
            # Each request is one call, without content.
            if data.endswith(b"\r\n\r\n"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                data = b""


def main():
    tls = context()
    print("up", flush=True)
    sys.stdin.readline()
    listener = tls.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
    print("port", listener.getsockname()[1], flush=True)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
