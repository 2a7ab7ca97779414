"""A plaintext WebSocket backend, and clients that use a gateway.

Arguments: backend; or client, port, http/1.1 or h2, path. The messages of the client look like HTTP and contain a secret.
"""

import base64
import hashlib
import os
import socket
import ssl
import sys
import threading

TEXTS = [b"GET /pLanted-%d HTTP/1.1\r\nHost: pLanted\r\n\r\n" % number for number in range(20)]
TEXTS += [b"HTTP/1.1 200 OK\r\nX-Request-ID: pLanted\r\nContent-Length: 0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
TEXT, CLOSE = 1, 8


def frame(opcode, content, mask=b""):
    """Makes a frame of less than 126 bytes (RFC 6455 section 5.2)."""
    flag = 0x80 if mask else 0
    return bytes([0x80 | opcode, flag | len(content)]) + mask + masked(content, mask or bytes(4))


def masked(content, mask):
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))


def echo(received):
    """Echoes the complete frames of a client. Returns the response and the incomplete rest."""
    answer = b""
    while len(received) >= 2 and len(received) >= 6 + (received[1] & 0x7F):
        end = 6 + (received[1] & 0x7F)
        answer += frame(received[0] & 0x0F, masked(received[6:end], received[2:6]))
        received = received[end:]
    return answer, received


def head(stream):
    """Reads an HTTP/1.1 head. Returns its first line, and its fields by lower-case name."""
    first, fields = stream.readline(), {}
    while line := stream.readline().strip():
        name, value = line.split(b":", 1)
        fields[name.lower()] = value.strip()
    return first, fields


def answer(connection):
    stream = connection.makefile("rb", buffering=0)
    first, fields = head(stream)
    key = hashlib.sha1(fields[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
    )
    print("upgraded", first.split()[1].decode(), flush=True)
    left = b""
    while received := stream.read(65536):
        said, left = echo(left + received)
        connection.sendall(said)
    connection.close()


def accept(listener):
    while True:
        threading.Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()


def talk(send, receive):
    for text in TEXTS:
        send(frame(TEXT, text, os.urandom(4)))
        assert receive(2 + len(text)) == frame(TEXT, text)
    send(frame(CLOSE, b"", os.urandom(4)))
    assert receive(2) == frame(CLOSE, b"")


def talk_http1(port, path):
    tls = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", port)))
    tls.sendall(
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n"
    )
    stream = tls.makefile("rb")
    assert head(stream)[0].split()[1] == b"101"
    talk(tls.sendall, stream.read)
    tls.close()


def talk_http2(port, path):
    from h2.events import RemoteSettingsChanged, ResponseReceived

    from http2 import connect, get, request

    session = connect(port)
    session.wait(RemoteSettingsChanged)
    stream = session.state.get_next_available_stream_id()
    fields = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
    session.send(stream, request("CONNECT", path)[:1] + fields[:1] + request("CONNECT", path)[1:] + fields[1:], end=False)
    assert dict(session.wait(ResponseReceived, stream).headers)[":status"] == "200"
    talk(lambda data: session.send_data(stream, data), lambda count: session.receive(stream, count))
    session.send_data(stream, b"", end=True)
    session.tls.close()


def main():
    print("up", flush=True)
    sys.stdin.readline()
    if sys.argv[1] == "backend":
        listener = socket.create_server(("127.0.0.1", 0))
        print("port", listener.getsockname()[1], flush=True)
        threading.Thread(target=accept, args=[listener], daemon=True).start()
    else:
        {"http/1.1": talk_http1, "h2": talk_http2}[sys.argv[3]](int(sys.argv[2]), sys.argv[4])
        print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
