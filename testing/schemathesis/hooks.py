"""Each request comes from an address of its own, so that the limit on guessing keys doesn't hide the handlers, and every
third one with a key that opens something, a session that lives, or a plan that is sold. What is for owners comes from
one, mostly."""

import itertools
import os

import requests
import schemathesis

numbers = itertools.count()
sessions = [os.environ["REAL_SESSION"]]


def live_session():
    """The session of machine 1: anew where an invented request has released it, unless others filled the seats since."""
    url, token = os.environ["CODITECT_URL"], os.environ["REAL_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{url}/api/v1/licenses/acquire", json={"hardware_id": f"{1:064}"}, headers=headers, timeout=10)
    if answer.ok:
        sessions.append(answer.json()["session_id"])
    return sessions[-1]


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(numbers)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    case.headers = {**(case.headers or {}), "X-Forwarded-For": address}
    if "SIGNED_IN" in os.environ:
        owner = case.path.startswith(("/api/v1/billing/", "/api/v1/auth/claim")) and number % 5
        case.headers["Authorization"] = f"Bearer {os.environ['REAL_OWNER' if owner else 'REAL_TOKEN']}"
    if number % 3 == 0 and isinstance(case.body, dict):
        real = {"license_key": lambda: os.environ["REAL_KEY"], "session_id": live_session, "plan": lambda: "TEAM"}
        case.body = {**case.body, **{name: real[name]() for name in real if isinstance(case.body.get(name), str)}}
