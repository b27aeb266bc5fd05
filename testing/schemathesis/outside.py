"""What is outside while requests are invented: Stripe's API, as far as it is called, and an identity provider, on one
loopback port. Prints its URL on one line, and on the next an ID token of its only user, good for a day.

    python3 testing/schemathesis/outside.py RSA_KEY.pem
"""

import base64
import http.server
import json
import subprocess
import sys
import time

key = sys.argv[1]
USER = {"iss": "https://login.invalid", "aud": "coditect", "sub": "invented"}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout


def jwks():
    modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}]}


def id_token():
    now = int(time.time())
    parts = [{"alg": "RS256", "kid": "1"}, {**USER, "iat": now, "exp": now + 86400}]
    signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encode(openssl('dgst', '-sha256', '-sign', key, input=signed.encode()))}"


class Outside(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(*(200, KEYS) if self.path == "/jwks.json" else (404, {"error": {"code": "resource_missing"}}))

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"] or 0))
        page = {"id": "invented", "url": "https://stripe.invalid/page", "expires_at": int(time.time()) + 86400}
        self.answer(200, page)

    def log_message(self, *_):
        pass


KEYS = jwks()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside)
print(f"http://127.0.0.1:{server.server_port}", id_token(), sep="\n", flush=True)
server.serve_forever()
