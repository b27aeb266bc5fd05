"""Each request comes from an address of its own, so that the limit on guessing keys doesn't hide the handlers, and every
third one with a key that opens something, or a session that is there."""

import itertools
import os

import schemathesis

requests = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(requests)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    case.headers = {**(case.headers or {}), "X-Forwarded-For": address}
    if number % 3 == 0 and isinstance(case.body, dict):
        real = {"license_key": os.environ["REAL_KEY"], "session_id": os.environ["REAL_SESSION"]}
        case.body = {**case.body, **{name: real[name] for name in real if isinstance(case.body.get(name), str)}}
