"""A collector of OpenTelemetry: OTLP over HTTP and over gRPC, made of the messages of opentelemetry-proto.

Arguments: the files of a certificate and its key, or none; with them, HTTP has TLS. It prints `http PORT` and `grpc PORT`, and
reads commands:

- `answer NAME COUNT`: the next COUNT requests get another answer, see ANSWERS, and are not kept.
- `stop` and `start`: it is gone, and is there again on the same ports.
- `report PATH`: writes what it has taken.
"""

import json
import socket
import ssl
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import any_pb2, duration_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

# Names of answers: status of HTTP with its fields, status of gRPC.
ANSWERS = {
    "later": (503, {}, grpc.StatusCode.UNAVAILABLE),
    "slower": (429, {"Retry-After": "1"}, grpc.StatusCode.RESOURCE_EXHAUSTED),
    "never": (400, {}, grpc.StatusCode.INVALID_ARGUMENT),
}
SIGNALS = {
    "/v1/traces": ("spans", trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse),
    "/v1/logs": ("logs", logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse),
    "/v1/metrics": ("metrics", metrics_service_pb2.ExportMetricsServiceRequest, metrics_service_pb2.ExportMetricsServiceResponse),
}
lock = threading.Lock()
taken = {"spans": [], "logs": [], "metrics": []}
requests = []
planned = []


def next_answer(kind, carrier, fields):
    """Notes a request, and returns the name of the planned answer, if there is one."""
    with lock:
        answer = planned.pop(0) if planned else "taken"
        requests.append({"kind": kind, "carrier": carrier, "answer": answer, "fields": fields})
        return answer


def take(kind, message):
    with lock:
        taken[kind].append(message)


def rejecting(kind, response):
    partial = response.partial_success
    name = {"spans": "rejected_spans", "logs": "rejected_log_records", "metrics": "rejected_data_points"}[kind]
    setattr(partial, name, 1)
    partial.error_message = "one is too old\x1b[31m"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, request, response = SIGNALS[self.path]
        answer = next_answer(kind, "http", {name.lower(): value for name, value in self.headers.items()})
        if answer in ("garbage", "gone"):
            self.wfile.write(b"\x00garbage\r\n\r\n" if answer == "garbage" else b"")
            self.close_connection = True
            return
        if answer in ("page", "flood"):
            body = b"<html>hello</html>" * (1 if answer == "page" else 10_000)
            return self.respond(200, {"Content-Type": "text/html"}, body)
        if answer in ANSWERS:
            status, fields, _ = ANSWERS[answer]
            return self.respond(status, fields, b"")
        message = response()
        if answer == "partial":
            rejecting(kind, message)
        take(kind, request.FromString(body))
        self.respond(200, {"Content-Type": "application/x-protobuf"}, message.SerializeToString())

    def respond(self, status, fields, body):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    connections = []

    def get_request(self):
        connection, address = super().get_request()
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        self.connections.append(connection)
        return connection, address

    def handle_error(self, *_):
        pass


def retry_info():
    """Returns a google.rpc.Status with the RetryInfo of one second, without the package that has these messages."""
    delay = duration_pb2.Duration(seconds=1).SerializeToString()
    detail = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\x0a" + bytes([len(delay)]) + delay)
    detail = detail.SerializeToString()
    return b"\x08\x08\x1a" + bytes([len(detail)]) + detail


def export(kind, response):
    def export(request, call):
        answer = next_answer(kind, "grpc", dict(call.invocation_metadata()))
        if answer in ANSWERS:
            if answer == "slower":
                call.set_trailing_metadata([("grpc-status-details-bin", retry_info())])
            call.abort(ANSWERS[answer][2], "for a test: 100%")
        message = response()
        if answer == "partial":
            rejecting(kind, message)
        take(kind, request)
        return message

    return export


class Collector:
    ports = [0, 0]

    def start(self):
        self.http = HttpServer(("127.0.0.1", self.ports[0]), Handler)
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()
        self.grpc = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        for module, name, path in [
            (trace_service_pb2_grpc, "Trace", "/v1/traces"),
            (logs_service_pb2_grpc, "Logs", "/v1/logs"),
            (metrics_service_pb2_grpc, "Metrics", "/v1/metrics"),
        ]:
            kind, _, response = SIGNALS[path]
            servicer = type("Servicer", (), {"Export": staticmethod(export(kind, response))})
            getattr(module, f"add_{name}ServiceServicer_to_server")(servicer, self.grpc)
        port = self.grpc.add_insecure_port(f"127.0.0.1:{self.ports[1]}")
        self.grpc.start()
        self.ports = [self.http.server_address[1], port]

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        for connection in self.http.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.http.connections.clear()
        self.grpc.stop(None).wait()


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


def attributes(message):
    return {one.key: value(one.value) for one in message.attributes}


def spans():
    for request in taken["spans"]:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield {
                        "resource": attributes(resource.resource),
                        "scope": scope.scope.name,
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "state": span.trace_state,
                        "name": span.name,
                        "kind": span.kind,
                        "status": span.status.code,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "links": [link.span_id.hex() for link in span.links],
                        "attributes": attributes(span),
                    }


def logs():
    for request in taken["logs"]:
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    yield {
                        "resource": attributes(resource.resource),
                        "trace": record.trace_id.hex(),
                        "span": record.span_id.hex(),
                        "severity": record.severity_text,
                        "time": record.time_unix_nano,
                        "body": record.body.string_value,
                    }


def metrics():
    for request in taken["metrics"]:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        is_histogram = metric.HasField("histogram")
                        yield {
                            "resource": attributes(resource.resource),
                            "name": metric.name,
                            "unit": metric.unit,
                            "attributes": attributes(point),
                            "count": point.count if is_histogram else point.as_int,
                            "sum": point.sum if is_histogram else None,
                            "buckets": list(point.bucket_counts) if is_histogram else None,
                            "bounds": list(point.explicit_bounds) if is_histogram else None,
                        }


context = None
if sys.argv[1:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:])
collector = Collector()
collector.start()
print(f"http {collector.ports[0]}\ngrpc {collector.ports[1]}\nup", flush=True)
for line in sys.stdin:
    command, *words = line.split()
    if command == "answer":
        with lock:
            planned.extend([words[0]] * int(words[1]))
    elif command == "stop":
        collector.stop()
    elif command == "start":
        collector.start()
    elif command == "report":
        with lock, open(words[0], "w") as file:
            json.dump({"spans": list(spans()), "logs": list(logs()), "metrics": list(metrics()), "requests": requests}, file)
    print(f"done {command}", flush=True)
collector.stop()
