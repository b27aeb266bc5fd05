"""An OpenTelemetry collector for tests, of OpenTelemetry's own protocol definitions: OTLP over HTTP with protobuf.

Prints its URL, then a line of JSON for each span that it is sent, and one for each other request that it gets, which it
answers with 404: {"request": PATH, "traceparent": HEADER}. With the word `silent` it takes spans and never answers.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

silent = "silent" in sys.argv[1:]
printing = threading.Lock()


def say(what):
    with printing:
        print(json.dumps(what), flush=True)


def value(any_value):
    which = any_value.WhichOneof("value")
    return getattr(any_value, which) if which else None


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        say({"request": self.path, "traceparent": self.headers.get("traceparent")})
        self.answer(404, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path != "/v1/traces":
            say({"request": self.path, "traceparent": self.headers.get("traceparent")})
            return self.answer(404, b"{}")
        if silent:
            threading.Event().wait()
        assert self.headers["content-type"] == "application/x-protobuf", self.headers
        export = ExportTraceServiceRequest.FromString(body)
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    say(
                        {
                            "span": span.name,
                            "kind": Span.SpanKind.Name(span.kind),
                            "service": attributes(resource.resource.attributes).get("service.name"),
                            "trace_id": span.trace_id.hex(),
                            "span_id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "start": span.start_time_unix_nano / 1e9,
                            "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                            "attributes": attributes(span.attributes),
                            "status": span.status.code,
                        }
                    )
        self.answer(200, ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
