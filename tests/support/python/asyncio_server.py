"""An HTTPS server on asyncio: one event loop for all connections, and TLS through memory BIOs.

It answers with 6 bytes and logs each exchange. Arguments: the hosts to listen on, separated by commas; optionally, the host
and port of another HTTPS server, which it then asks for each request, and at the same time a plaintext server in the same
loop.
"""

import asyncio
import ssl
import sys

from server import context
from exchange_log import log_exchange

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsmall\n"


def ends(writer):
    return writer.get_extra_info("sockname"), writer.get_extra_info("peername")


async def head_of(reader):
    """Reads the fields of a request or response. Returns None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    fields = (line.partition(": ") for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, _, value in fields}


class Upstream:
    """Connections to the other servers. A request uses a connection alone."""

    def __init__(self, host, port, plain_port):
        self.tls = ssl._create_unverified_context()
        self.secure, self.plain = ((host.strip("[]"), int(port)), []), (("127.0.0.1", plain_port), [])

    async def borrow(self, kind, **options):
        address, idle = kind
        return idle.pop() if idle else await asyncio.open_connection(*address, **options)

    async def ask_secure(self, request_id):
        reader, writer = connection = await self.borrow(self.secure, ssl=self.tls)
        head = f"GET /small/{request_id} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {request_id}\r\n\r\n"
        writer.write(head.encode())
        fields = await head_of(reader)
        assert await reader.readexactly(int(fields["content-length"])) == b"small\n"
        log_exchange("asked", request_id, *ends(writer))
        self.secure[1].append(connection)

    async def ask_plain(self, request_id):
        reader, writer = connection = await self.borrow(self.plain)
        writer.write(f"GET {request_id}\r\n".encode())
        assert await reader.readline() == f"GET {request_id}\r\n".encode()
        self.plain[1].append(connection)

    async def ask(self, request_id):
        await asyncio.gather(self.ask_plain(request_id), self.ask_secure(request_id))


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)


async def serve(reader, writer, upstream):
    while (fields := await head_of(reader)) is not None:
        request_id = fields["x-request-id"]
        if upstream is not None:
            await upstream.ask(request_id)
        writer.write(ANSWER)
        log_exchange("served", request_id, *ends(writer))
        if fields.get("connection") == "close":
            break
    writer.close()


async def main(hosts, *backend):
    plain = await asyncio.start_server(echo, "127.0.0.1", 0)
    upstream = Upstream(*backend, plain.sockets[0].getsockname()[1]) if backend else None
    tls, port = context(), 0
    for host in hosts.split(","):
        served = lambda reader, writer: serve(reader, writer, upstream)
        listener = await asyncio.start_server(served, host.strip("[]"), port, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
    print("port", port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


print("up", flush=True)
sys.stdin.readline()
asyncio.run(main(*sys.argv[1:]))
