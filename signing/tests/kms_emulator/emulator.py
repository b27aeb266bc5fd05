"""Cloud KMS, as far as signing needs it, for tests.

What goes over the wire is Google's own: requests are parsed into, and answers printed from, the published protobuf types,
so that names, enumerations and 64-bit integers as strings are theirs. Any key version under `projects/` exists; all of them
are the same RSA-4096 key, so that each test takes a name of its own, with faults and counts of its own:

    PUT /control/NAME {"fault": F, "on": "sign"|"publicKey", "times": N}   without `times`: until the next PUT; null: heals
    GET /control/NAME   {"sign": requests so far, "publicKey": …, "credentials": requests that carried some}

Faults of an answer: signatureCrc32c, name, verifiedDigestCrc32c, pemCrc32c, algorithm, size, garbage, incomplete.
Faults instead of one: digest (the request is damaged on arrival), unavailable, quota, disabled, denied, redirect, hang.
"""

import argparse
import json
import re
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google_crc32c
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from google.cloud.kms_v1.types import AsymmetricSignRequest, AsymmetricSignResponse, CryptoKeyVersion, PublicKey
from google.protobuf import json_format

ALGORITHM = CryptoKeyVersion.CryptoKeyVersionAlgorithm
NAME = r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[^/:]+"
REFUSALS = {
    "unavailable": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "quota": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'."),
    "disabled": (400, "FAILED_PRECONDITION", "{name} is not enabled, current state is: DISABLED."),
    "denied": (403, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied on resource."),
}


class Version:
    """What happens to one key version, and what was asked of it."""

    def __init__(self):
        self.fault, self.on, self.times = None, None, None
        self.counts = {"sign": 0, "publicKey": 0, "credentials": 0}

    def asked(self, what, credentials):
        """Counts a request and answers the fault it meets."""
        self.counts[what] += 1
        self.counts["credentials"] += credentials
        if self.fault is None or self.on not in (None, what) or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.fault


@cache
def small_key():
    return rsa.generate_private_key(65537, 2048)


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


class Refusal(Exception):
    """An error as Google words it: HTTP status, canonical code, message."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        body = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.route(body)
        except Refusal as refusal:
            code, status, message = refusal.args
            self.answer(code, json.dumps({"error": {"code": code, "message": message, "status": status}}))

    do_GET = do_POST = do_PUT = handle_any

    def route(self, body):
        server = self.server
        if control := re.fullmatch(rf"/control/({NAME})", self.path):
            with server.lock:
                version = server.versions.setdefault(control[1], Version())
                if self.command == "PUT":
                    wanted = json.loads(body) or {}
                    version.fault, version.on, version.times = (wanted.get(k) for k in ("fault", "on", "times"))
                return self.answer(200, json.dumps(version.counts))
        sign = re.fullmatch(rf"/v1/({NAME}):asymmetricSign", self.path) if self.command == "POST" else None
        public = re.fullmatch(rf"/v1/({NAME})/publicKey", self.path) if self.command == "GET" else None
        if not (sign or public):
            raise Refusal(404, "NOT_FOUND", f"{self.path} not found.")
        name = (sign or public)[1]
        with server.lock:
            version = server.versions.setdefault(name, Version())
            fault = version.asked("sign" if sign else "publicKey", "Authorization" in self.headers)
        if fault in REFUSALS:
            code, status, message = REFUSALS[fault]
            raise Refusal(code, status, message.format(name=name))
        if fault == "redirect":
            return self.answer(307, "", Location=self.path.replace("cryptoKeyVersions/", "cryptoKeyVersions/1"))
        if fault == "hang":
            self.rfile.read(1)  # until the client has had enough
            self.close_connection = True
            return None
        message = self.sign(name, body, fault) if sign else self.public_key(name, fault)
        if fault == "name":
            message.name = name + "1"
        text = json_format.MessageToJson(type(message).pb(message))
        if fault == "garbage":
            text = "<html>"
        if fault == "incomplete":
            text = json.dumps({"name": name})
        return self.answer(200, text)

    def sign(self, name, body, fault):
        try:
            request = AsymmetricSignRequest.from_json(body or b"{}")
        except json_format.ParseError as e:
            raise Refusal(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {e}") from e
        digest = request.digest.sha256
        if fault == "digest":
            digest = bytes([digest[0] ^ 1]) + digest[1:]
        if len(digest) != 32:
            raise Refusal(400, "INVALID_ARGUMENT", "Digest length does not match the key's algorithm.")
        checked = request.digest_crc32c is not None
        if checked and google_crc32c.value(digest) != request.digest_crc32c:
            message = "The checksum in field digest_crc32c did not match the data in field digest."
            raise Refusal(400, "INVALID_ARGUMENT", message)
        signature = self.server.key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        return AsymmetricSignResponse(
            name=name,
            signature=signature,
            signature_crc32c=google_crc32c.value(signature) ^ (fault == "signatureCrc32c"),
            verified_digest_crc32c=checked and fault != "verifiedDigestCrc32c",
        )

    def public_key(self, name, fault):
        pem = public_pem(small_key() if fault == "size" else self.server.key)
        wrong = ALGORITHM.RSA_SIGN_PSS_4096_SHA256
        return PublicKey(
            name=name,
            pem=pem,
            pem_crc32c=google_crc32c.value(pem.encode()) ^ (fault == "pemCrc32c"),
            algorithm=wrong if fault == "algorithm" else ALGORITHM.RSA_SIGN_PKCS1_4096_SHA256,
        )


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description="Cloud KMS for tests")
    parser.add_argument("--key", help="the RSA-4096 private key in PEM; without it one is made")
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1; a free port without it")
    arguments = parser.parse_args()
    server = Server(("127.0.0.1", arguments.port), Handler)
    server.lock, server.versions = threading.Lock(), {}
    if arguments.key:
        with open(arguments.key, "rb") as file:
            server.key = serialization.load_pem_private_key(file.read(), None)
    else:
        server.key = rsa.generate_private_key(65537, 4096)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
