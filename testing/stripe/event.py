"""Sends the webhook an event, signed by Stripe's own library, and prints the answer.

    event.py KIND [FIELD=VALUE…]

The event has all the fields that Stripe's have (testing/stripe/VERSION); a FIELD of its object is named by a path of names
and numbers with dots between. `items=PRICE:QUANTITY[,…]` stands for the items of a subscription. Whereto is told by
WEBHOOK_STRIPE_URL and STRIPE_WEBHOOK_SECRETS, as a stack's `env` file has them.
"""

import json
import os
import pathlib
import sys
import time
import urllib.request
import uuid

import stripe

VERSION = "2026-10-28.endive"
SHAPES = {
    "checkout.session": "checkout_session",
    "customer.subscription": "subscription",
    "charge.dispute": "dispute",
    "invoice_payment": "invoice_payment",
    "invoice": "invoice",
    "charge": "charge",
    "customer": "customer",
}


def shape(name):
    return json.loads((pathlib.Path(__file__).parent / VERSION / f"{name}.json").read_text())


def value(text):
    """A number, true, false or null where it is one; else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def write(place, path, new):
    *names, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    for name in names:
        place = place[name]
    place[last] = new


def item(text):
    price, quantity = text.rsplit(":", 1)
    made = shape("subscription_item")
    made["quantity"], made["price"]["id"], made["plan"]["id"] = int(quantity), price, price
    return made


kind, *fields = sys.argv[1:]
fields = [field.split("=", 1) for field in fields]
subject = shape(next(name for start, name in SHAPES.items() if kind.startswith(start + ".")))
for path, text in fields:
    if path == "items":
        subject["items"]["data"] = [item(each) for each in text.split(",")]
    else:
        write(subject, path, value(text))
event = shape("event") | {"id": f"evt_{uuid.uuid4().hex}", "type": kind, "created": int(time.time()), "data": {"object": subject}}
body = json.dumps(event, indent=2)
secret = os.environ["STRIPE_WEBHOOK_SECRETS"].split(",")[0]
signature = stripe.WebhookSignature.generate_signature_header(body, secret)
request = urllib.request.Request(
    os.environ["WEBHOOK_STRIPE_URL"] + "/webhooks/stripe",
    body.encode(),
    {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature},
)
with urllib.request.urlopen(request) as answer:
    print(answer.read().decode())
