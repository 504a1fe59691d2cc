"""Stripe's own library (PyPI stripe) before the sandbox's Stripe-shaped face: python official_stripe.py http://127.0.0.1:PORT

What it does is written by nobody here; only what it is asked for. It ends with a word, or with a traceback."""

import http.server
import json
import queue
import sys
import threading
import urllib.request

import stripe

SECRET = "whsec_of_the_test"
base = sys.argv[1]
client = stripe.StripeClient("sk_test_tonewall", base_addresses={"api": base}, max_network_retries=0)
v1 = client.v1
received = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def control(path, order):
    request = urllib.request.Request(base + path, json.dumps(order).encode(), {"content-type": "application/json"})
    assert urllib.request.urlopen(request).status == 200


def refusal(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def card(number):
    details = {"number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123"}
    address = {"line1": "99", "postal_code": "N1 1AA"}
    made = v1.payment_methods.create({"type": "card", "card": details, "billing_details": {"address": address}})
    assert made.card.last4 == number[-4:]
    return made.id


def order(number, amount, **more):
    return {
        "amount": amount, "currency": "gbp", "confirm": True, "payment_method": card(number),
        "payment_method_types": ["card"], "payment_method_options": {"card": {"moto": True}}, **more,
    }


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
control("/v1/webhooks", {"url": f"http://127.0.0.1:{receiver.server_port}/", "secret": SECRET, "shape": "stripe"})

# Charged, looked up whole, given back in part, and no more than there is.
paid = v1.payment_intents.create(order("4242424242424242", 4200, metadata={"order": "7"}))
assert (paid.status, paid.amount_received, paid.livemode) == ("succeeded", 4200, False), paid
found = v1.payment_intents.retrieve(paid.id, {"expand": ["latest_charge"]})
checks = found.latest_charge.payment_method_details.card.checks
assert (checks.address_line1_check, checks.address_postal_code_check, checks.cvc_check) == ("fail", "pass", "pass")
assert found.metadata["order"] == "7"
back = v1.refunds.create({"payment_intent": paid.id, "amount": 1200})
assert (back.status, back.amount) == ("succeeded", 1200)
assert refusal(stripe.InvalidRequestError, lambda: v1.refunds.create({"payment_intent": paid.id, "amount": 3001})).http_status == 400

# Reserved, and taken in part; reserved, and let go.
held = v1.payment_intents.create(order("378282246310005", 5000, capture_method="manual"))
assert (held.status, held.amount_capturable) == ("requires_capture", 5000)
assert v1.payment_intents.capture(held.id, {"amount_to_capture": 3000}).amount_received == 3000
held = v1.payment_intents.create(order("4242424242424242", 100, capture_method="manual"))
assert v1.payment_intents.cancel(held.id).status == "canceled"
assert refusal(stripe.InvalidRequestError, lambda: v1.payment_intents.capture(held.id)).code == "payment_intent_unexpected_state"

# In two steps.
two = v1.payment_intents.create({"amount": 700, "currency": "gbp", "payment_method_types": ["card"]})
assert two.status == "requires_payment_method"
confirmed = {"payment_method": card("5555555555554444"), "payment_method_options": {"card": {"moto": True}}}
assert v1.payment_intents.confirm(two.id, confirmed).status == "succeeded"

# Declined.
error = refusal(stripe.CardError, lambda: v1.payment_intents.create(order("4000000000009995", 4200)))
assert (error.code, error.error.decline_code, error.http_status) == ("card_declined", "insufficient_funds", 402)
assert error.error.payment_intent.status == "requires_payment_method"

# Repeated, repeated otherwise, and repeated while the first is worked on.
same = order("4242424242424242", 990)
first = v1.payment_intents.create(same, {"idempotency_key": "k1"})
again = v1.payment_intents.create(same, {"idempotency_key": "k1"})
assert again.id == first.id and again.last_response.headers["idempotent-replayed"] == "true"
error = refusal(stripe.IdempotencyError, lambda: v1.payment_intents.create({**same, "amount": 991}, {"idempotency_key": "k1"}))
assert error.http_status == 400
slow = order("4242424242424242", 992)
control("/v1/faults", {"next": ["delay"], "delay_ms": 1500})
thread = threading.Thread(target=lambda: v1.payment_intents.create(slow, {"idempotency_key": "k2"}))
thread.start()
threading.Event().wait(0.5)
error = refusal(stripe.StripeError, lambda: v1.payment_intents.create(slow, {"idempotency_key": "k2"}))
assert (error.http_status, error.json_body["error"]["code"]) == (409, "idempotency_key_in_use"), error
thread.join()

# The library's own retries behind a key: one charge, whatever is lost.
retrying = stripe.StripeClient("sk_test_tonewall", base_addresses={"api": base}, max_network_retries=5).v1
lost = order("4242424242424242", 993)
control("/v1/faults", {"next": ["drop_before", "drop_after"]})
assert retrying.payment_intents.create(lost).status == "succeeded"
every = list(v1.payment_intents.list({"limit": 3}).auto_paging_iter())
assert [intent.amount for intent in every].count(993) == 1 and len(every) == 8, [intent.amount for intent in every]

# What moved, with what it comes from, page by page.
moved = list(v1.balance_transactions.list({"limit": 3, "expand": ["data.source"]}).auto_paging_iter())
assert [one.reporting_category for one in moved].count("refund") >= 1, moved
assert all(one.net == one.amount - one.fee for one in moved) and 3000 in [one.amount for one in moved], moved
assert moved[-1].source.payment_intent == paid.id, moved[-1]

# Kept, and charged without its holder.
holder = v1.customers.create({"description": "Priya"})
v1.payment_intents.create(order("4242424242424242", 100, customer=holder.id, setup_future_usage="off_session"))
kept = v1.payment_intents.list({"limit": 1}).data[0].payment_method
again = {"amount": 101, "currency": "gbp", "customer": holder.id, "payment_method": kept, "confirm": True, "off_session": True}
assert v1.payment_intents.create(again).status == "succeeded"
v1.payment_methods.detach(kept)
assert refusal(stripe.StripeError, lambda: v1.payment_intents.create(again)).http_status == 400

# What is said unasked is signed, and what is changed on its way is not believed.
body, signature = received.get(timeout=10)
event = client.construct_event(body, signature, SECRET)
assert (event.type, event.data.object.id) == ("payment_intent.succeeded", paid.id), event
refusal(stripe.SignatureVerificationError, lambda: client.construct_event(body + b" ", signature, SECRET))
refusal(stripe.SignatureVerificationError, lambda: client.construct_event(body, signature, "whsec_another"))
print("as Stripe's own library expects, version", stripe.VERSION)
