"""The stack's public door, as its users and a carrier reach it."""

import itertools
import socket
from typing import Any

import requests
from twilio.request_validator import RequestValidator
from twilio.rest import Client

# The account at Twilio: Crosspoint and the stand-in know it.
TWILIO_SID = "AC" + "2" * 32
TWILIO_TOKEN = "tokenattwilio"

message_numbers = itertools.count(1)


def resolve_localhost() -> None:
    """Lets this process find {api}.execute-api.localhost on loopback: not every resolver does (RFC 6761, 6.3)."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        inside = isinstance(host, str) and host.endswith(".localhost")
        return resolve("127.0.0.1" if inside else host, *rest, **more)

    socket.getaddrinfo = getaddrinfo


def library(url: str, account: str, token: str) -> Client:
    """The official library; the base URL is the one line that it needs."""
    client = Client(account, token)
    client.api.base_url = client.conversations.base_url = url
    return client


def text(url: str, sender: str, to: str, body: str, token: str = TWILIO_TOKEN) -> requests.Response:
    """A message as Twilio posts it, signed for the public address."""
    sid = f"SM{next(message_numbers):032x}"
    form = {
        "MessageSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": TWILIO_SID,
        "From": sender,
        "To": to,
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    target = f"{url}/inbound/twilio"
    signature = RequestValidator(token).compute_signature(target, form)
    return requests.post(target, data=form, headers={"X-Twilio-Signature": signature}, timeout=30)
