"""One side of an HTTP/2 connection over TLS, for the other scripts.

It uses Debian's hyper-h2, whose HPACK encoder indexes every field that it may, and Python's ssl.
"""

import socket
import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded


class Session:
    """Runs the protocol, and returns the events of the peer one by one."""

    def __init__(self, tls, client_side):
        tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert tls.selected_alpn_protocol() == "h2"
        self.tls = tls
        self.state = H2Connection(H2Configuration(client_side=client_side, header_encoding="utf-8"))
        self.waiting = []
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.tls.sendall(self.state.data_to_send())

    def send(self, stream, fields, end=True):
        self.state.send_headers(stream, fields, end_stream=end)
        self.flush()

    def send_data(self, stream, data, end=False):
        self.state.send_data(stream, data, end_stream=end)
        self.flush()

    def next(self):
        """Returns the next event, or None after the peer has closed."""
        while not self.waiting:
            try:
                received = self.tls.recv(65536)
            except OSError:
                received = b""
            if not received:
                return None
            self.waiting = self.state.receive_data(received)
            self.flush()
        return self.waiting.pop(0)

    def wait(self, kind, stream=None):
        """Returns the next event of a kind, and drops the events before it."""
        while True:
            event = self.next()
            assert event is not None, f"closed before {kind}"
            if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                return event

    def receive(self, stream, count):
        """Reads this many bytes of a stream, and updates its window."""
        received = b""
        while len(received) < count:
            event = self.wait(DataReceived, stream)
            received += event.data
            self.state.acknowledge_received_data(event.flow_controlled_length, stream)
            self.flush()
        return received


def connect(port):
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])
    return Session(context.wrap_socket(socket.create_connection(("127.0.0.1", port))), client_side=True)


def request(method, path, authority="localhost"):
    """Returns the pseudo-header fields of a request."""
    return [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]


def get(session, path, fields=(), authority="localhost"):
    """Requests a path and waits for the end of the response."""
    stream = session.state.get_next_available_stream_id()
    session.send(stream, request("GET", path, authority) + list(fields))
    session.wait(StreamEnded, stream)
