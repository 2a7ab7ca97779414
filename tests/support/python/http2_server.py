"""An HTTP/2 server that uses features that gateways seldom use, and prints the paths that it served.

It sends two early hints before each response, and trailers after it, the last of which is the number of trailers of the
request. Extended CONNECT (RFC 8441) opens a WebSocket that echoes.
"""

import socket
import sys
import threading

from h2.events import DataReceived, RequestReceived, StreamEnded, TrailersReceived
from h2.settings import SettingCodes

from http2 import Session
from server import context
from websocket import echo


class Answers:
    def __init__(self, session):
        self.session, self.asked, self.trailers, self.tunnels = session, {}, {}, {}

    def take(self, event):
        if isinstance(event, RequestReceived):
            self.begin(event.stream_id, dict(event.headers))
        elif isinstance(event, TrailersReceived):
            self.trailers[event.stream_id] = len(event.headers)
        elif isinstance(event, DataReceived):
            self.session.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.session.flush()
            if event.stream_id in self.tunnels:
                self.tunnels[event.stream_id] += event.data
                answer, self.tunnels[event.stream_id] = echo(self.tunnels[event.stream_id])
                self.session.send_data(event.stream_id, answer)
        elif isinstance(event, StreamEnded):
            self.end(event.stream_id)

    def begin(self, stream, fields):
        self.asked[stream] = fields
        if fields.get(":protocol") == "websocket":
            self.tunnels[stream] = b""
            self.session.send(stream, [(":status", "200"), ("x-request-id", fields[":path"])], end=False)
            print("served", fields[":path"], flush=True)

    def end(self, stream):
        if stream in self.tunnels:
            self.session.send_data(stream, b"", end=True)
            return
        path = self.asked[stream][":path"]
        for number in "12":
            self.session.send(stream, [(":status", "103"), ("link", f"</style-{number}.css>; rel=preload")], end=False)
        fields = [(":status", "200"), ("x-request-id", path), ("x-server", "hints"), ("content-length", "6")]
        self.session.send(stream, fields, end=False)
        self.session.send_data(stream, b"small\n")
        self.session.send(stream, [("x-checksum", "abc"), ("x-trailers", str(self.trailers.get(stream, 0)))])
        print("served", path, flush=True)


def serve(tls):
    session = Session(tls, client_side=False)
    session.state.update_settings({SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    session.flush()
    answers = Answers(session)
    try:
        while (event := session.next()) is not None:
            answers.take(event)
    except OSError:
        pass  # The client closed first.


def accept(tls, listener):
    while True:
        connection = tls.wrap_socket(listener.accept()[0], server_side=True)
        threading.Thread(target=serve, args=[connection], daemon=True).start()


tls = context()
tls.set_alpn_protocols(["h2"])
print("up", flush=True)
sys.stdin.readline()
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=[tls, listener], daemon=True).start()
print("port", listener.getsockname()[1], flush=True)
sys.stdin.read()
