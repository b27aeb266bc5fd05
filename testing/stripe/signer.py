"""Signs webhook bodies with Stripe's own library, for tests.

    {"body": TEXT, "secret": TEXT, "timestamp": SECONDS}  →  {"header": "t=…,v1=…"}

a line of JSON each. Each header is checked by the library's own verification, as a receiver would use it, before it is
answered; a body that the library does not take for an event is answered as {"error": …}, unless "any" is set.
"""

import json
import sys

import stripe

for line in sys.stdin:
    ask = json.loads(line)
    header = stripe.WebhookSignature.generate_signature_header(ask["body"], ask["secret"], ask["timestamp"])
    try:
        if ask.get("any"):
            stripe.WebhookSignature.verify_header(ask["body"], header, ask["secret"], tolerance=0)
            print(json.dumps({"header": header}), flush=True)
            continue
        # A tolerance of 0 leaves the time alone: tests want stale signatures too.
        stripe.Webhook.construct_event(ask["body"], header, ask["secret"], tolerance=0, api_key="sk_test_none")
        answer = {"header": header}
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
