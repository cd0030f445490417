"""The check of the deployed stack: `check.py WORK SAM ARCHITECTURE`.

WORK/build holds what `sam build` wrote for this machine's architecture. The check deploys it to the emulator and uses
it as its users, a carrier and a webhook do. It prints each step, and fails at the first promise that is not kept.
"""

import contextlib
import itertools
import json
import pathlib
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple
from urllib.parse import quote

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

import door
from emulator import Emulator, emulator
from receiver import Receiver, Reply, Request, receiver
from roles import FUNCTIONS, Permission, is_missed, log_lines, permissions, refusals
from stack import Stack, delete, deploy, described
from waiting import wait_for

ACCOUNT = "AC" + "1" * 32
TOKEN = "firsttoken0123456789abcdefabcdef"
NEXT_TOKEN = "nexttoken0123456789abcdefabcdef0"

# A number of ours that opens conversations, one with a webhook of its own, and a person who writes to them.
OUR_NUMBER = "+15550002222"
FORWARDED_NUMBER = "+15550003333"
ALICE = "+15550001111"


class System(NamedTuple):
    emulator: Emulator
    sam: pathlib.Path
    build: pathlib.Path
    parameters: Dict[str, str]
    # The user's webhook, and Twilio's API.
    webhook: Receiver
    twilio: Receiver


def step(text: str) -> None:
    print(f"== {time.strftime('%H:%M:%S')} {text}", flush=True)


def check(system: System) -> None:
    step("deploy")
    stack = deploy(system.emulator, system.sam, system.build, "crosspoint", system.parameters)
    try:
        url = stack.outputs["ApiUrl"]
        client = door.library(url, ACCOUNT, TOKEN)
        set_up(client, system)
        conversation = a_message_comes_in(url, client)
        a_message_goes_out(client, conversation, system)
        names_with_escapes(client)
        the_clock_repeats_what_failed(system)
        every_permission_is_needed_and_enough(system, stack, url, client, conversation)
        an_update_keeps_the_data(system, stack, conversation)
        a_deletion_leaves_the_table(system, stack)
        another_stack_takes_the_table_over(system, stack, conversation)
    except BaseException:
        report(system.emulator, stack)
        raise


def set_up(client: Client, system: System) -> None:
    step("set-up by REST, with the official library")
    client.incoming_phone_numbers.create(phone_number=OUR_NUMBER)
    client.incoming_phone_numbers.create(
        phone_number=FORWARDED_NUMBER, sms_url=f"{system.webhook.url}/incoming", sms_method="POST"
    )
    client.conversations.v1.address_configurations.create(
        type="sms", address=OUR_NUMBER, auto_creation_enabled=True
    )
    client.conversations.v1.configuration.webhooks().update(
        post_webhook_url=f"{system.webhook.url}/post", filters=["onMessageAdded"], method="POST"
    )


def a_message_comes_in(url: str, client: Client) -> str:
    step("a signed message comes in through the API")
    answer = door.text(url, ALICE, OUR_NUMBER, "Is my order on its way?")
    assert answer.status_code == 200, answer.text
    assert "<Response" in answer.text, answer.text
    [conversation] = client.conversations.v1.conversations.list()
    [message] = conversation.messages.list()
    assert (message.author, message.body) == (ALICE, "Is my order on its way?")

    answer = door.text(url, ALICE, OUR_NUMBER, "Forged", token="another")
    assert answer.status_code == 403, answer.text
    assert len(conversation.messages.list()) == 1
    return str(conversation.sid)


def a_message_goes_out(client: Client, conversation: str, system: System) -> None:
    step("the relay sends by the stand-in of Twilio's API")
    client.conversations.v1.conversations(conversation).messages.create(author="support", body="It left today.")
    [sent] = wait_for("a message at Twilio", lambda: list(system.twilio.requests))
    assert sent.path == f"/2010-04-01/Accounts/{door.TWILIO_SID}/Messages.json", sent.path
    assert (sent.form["From"], sent.form["To"], sent.form["Body"]) == (OUR_NUMBER, ALICE, "It left today.")


def names_with_escapes(client: Client) -> None:
    step("paths with escapes")
    conversations = client.conversations.v1.conversations
    for name in ["the one", "a#2", "ä+b&c=d", "plain", "aA"]:
        made = conversations.create(unique_name=name)
        assert conversations(quote(name, safe="")).fetch().sid == made.sid, name
    # API Gateway decodes a path: a conversation with one of these names is found by its SID alone, and its name never
    # finds another one.
    for name in ["plain/x", "plain?x", "plain%", "a%41", "a%2541"]:
        made = conversations.create(unique_name=name)
        assert conversations(made.sid).fetch().unique_name == name
        with contextlib.suppress(TwilioRestException):
            found = conversations(quote(name, safe="")).fetch()
            assert found.sid == made.sid, f"{name} found {found.unique_name}"

    participants = conversations("plain").participants
    alice = participants.create(identity="alice")
    participants.create(identity="alice#2")
    assert participants(quote("alice#2", safe="")).delete()
    assert [each.sid for each in participants.list()] == [alice.sid]


def the_clock_repeats_what_failed(system: System) -> None:
    step("the schedule's minute repeats the webhook's failed attempt")
    first, second = wait_for(
        "the second attempt", lambda: posts(system)[:2] if len(posts(system)) >= 2 else None
    )
    token = "i-twilio-idempotency-token"
    assert first.headers[token] == second.headers[token]
    assert first.form["Sequence"] == second.form["Sequence"]
    assert (second.form["EventType"], second.form["Author"]) == ("onMessageAdded", ALICE)
    validator = RequestValidator(TOKEN)
    for post in (first, second):
        signed = validator.validate(system.webhook.url + post.path, post.form, post.headers["x-twilio-signature"])
        assert signed, post


def posts(system: System) -> List[Request]:
    return [request for request in list(system.webhook.requests) if request.path == "/post"]


# What this check can't bring about, and why.
NOT_REACHED = {
    Permission("Inbound", "dynamodb:DeleteItem"): "a conversation expires after ten minutes at the earliest",
    Permission("Dispatch", "dynamodb:DeleteItem"): "a timer closes a conversation after ten minutes at the earliest",
    Permission("Dispatch", "dynamodb:BatchGetItem"): "the sweep reads a change after five minutes at the earliest",
    Permission("Dispatch", "dynamodb:BatchWriteItem"): "a purge comes a day after the deletion",
}


def every_permission_is_needed_and_enough(
    system: System, stack: Stack, url: str, client: Client, conversation: str
) -> None:
    step("each role's policy is enough")
    for function in FUNCTIONS:
        assert not refusals(system.emulator, stack, function), function

    conversations = client.conversations.v1.conversations
    other = conversations.create(friendly_name="to be changed")
    numbers = itertools.count(4000)
    participant = other.participants.create(identity="somebody")
    message = other.messages.create(body="To be deleted.")

    def captured() -> None:
        door.text(url, ALICE, OUR_NUMBER, "And now?")

    def forwarded() -> None:
        door.text(url, ALICE, FORWARDED_NUMBER, "Hello?")

    def relayed() -> None:
        # A conversation of its own: after a refusal, the consumers of this one wait.
        new = conversations.create()
        new.participants.create(
            messaging_binding_address=f"+1555000{next(numbers)}", messaging_binding_proxy_address=OUR_NUMBER
        )
        new.messages.create(author="support", body="A moment.")

    def minute() -> None:
        emulated = system.emulator.client("lambda")
        emulated.invoke(FunctionName=stack.resources["Dispatch"], Payload=json.dumps({"clock": "minute"}))

    uses: Dict[Permission, Callable[[], Any]] = {
        Permission("Inbound", "dynamodb:GetItem"): captured,
        Permission("Inbound", "dynamodb:Query"): captured,
        Permission("Inbound", "dynamodb:PutItem"): captured,
        Permission("Inbound", "dynamodb:UpdateItem"): forwarded,
        Permission("Admin", "dynamodb:GetItem"): conversations(conversation).fetch,
        Permission("Admin", "dynamodb:BatchGetItem"): conversations.list,
        Permission("Admin", "dynamodb:Query"): conversations(conversation).messages.list,
        Permission("Admin", "dynamodb:Query", True): conversations.list,
        Permission("Admin", "dynamodb:PutItem"): conversations.create,
        Permission("Admin", "dynamodb:UpdateItem"): message.delete,
        Permission("Admin", "dynamodb:DeleteItem"): participant.delete,
        Permission("Dispatch", "dynamodb:GetItem"): minute,
        Permission("Dispatch", "dynamodb:Query"): relayed,
        Permission("Dispatch", "dynamodb:Query", True): minute,
        Permission("Dispatch", "dynamodb:PutItem"): relayed,
        Permission("Dispatch", "dynamodb:UpdateItem"): relayed,
        Permission("Dispatch", "lambda:InvokeFunction"): relayed,
    }
    allowed = set(permissions(system.emulator, stack))
    assert allowed == {*uses, *NOT_REACHED}, allowed.symmetric_difference({*uses, *NOT_REACHED})
    for permission, use in uses.items():
        step(f"{permission.function} misses {permission.action}{' of an index' if permission.of_index else ''}")

        def used(use: Callable[[], Any] = use) -> None:
            # The library raises what the API answers.
            with contextlib.suppress(TwilioException):
                use()

        is_missed(system.emulator, stack, permission, used)


def an_update_keeps_the_data(system: System, stack: Stack, conversation: str) -> None:
    step("an update rotates the token, and keeps the data")
    changes = {"AuthToken": NEXT_TOKEN, "MemorySize": "256"}
    updated = deploy(system.emulator, system.sam, system.build, stack.name, changes)
    assert updated.outputs == stack.outputs
    url = updated.outputs["ApiUrl"]
    client = door.library(url, ACCOUNT, NEXT_TOKEN)
    assert client.conversations.v1.conversations(conversation).fetch().state == "active"
    try:
        door.library(url, ACCOUNT, TOKEN).conversations.v1.conversations(conversation).fetch()
        raise AssertionError("the old token still opens the API")
    except TwilioRestException as refused:
        assert refused.status == 401, refused


def a_deletion_leaves_the_table(system: System, stack: Stack) -> None:
    step("a deletion leaves the table")
    delete(system.emulator, system.sam, system.build, stack)
    table = system.emulator.client("dynamodb").describe_table(TableName=stack.outputs["TableName"])["Table"]
    assert table["TableStatus"] == "ACTIVE", table
    functions = system.emulator.client("lambda").list_functions()["Functions"]
    assert not functions, functions


def another_stack_takes_the_table_over(system: System, stack: Stack, conversation: str) -> None:
    step("another stack takes the table over")
    name = stack.outputs["TableName"]
    dynamodb = system.emulator.client("dynamodb")
    stream = dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    parameters = {**system.parameters, "AuthToken": NEXT_TOKEN, "ExistingTableStream": stream}
    adopting = deploy(system.emulator, system.sam, system.build, "crosspoint-again", parameters)
    assert "Table" not in adopting.resources
    assert adopting.outputs["TableName"] == name
    url = adopting.outputs["ApiUrl"]
    client = door.library(url, ACCOUNT, NEXT_TOKEN)
    before = len(client.conversations.v1.conversations(conversation).messages.list())
    answer = door.text(url, ALICE, OUR_NUMBER, "Still there?")
    assert answer.status_code == 200, answer.text
    messages = client.conversations.v1.conversations(conversation).messages.list()
    assert [message.body for message in messages[before:]] == ["Still there?"]
    wait_for(
        "the webhook's call by the new stack",
        lambda: any(post.form["Body"] == "Still there?" for post in posts(system)),
    )
    delete(system.emulator, system.sam, system.build, adopting)


def report(emulated: Emulator, stack: Stack) -> None:
    """The end of each function's log, for the person who mends."""
    LINES_MAX = 20
    for function in FUNCTIONS:
        print(f"-- the last lines of {function}", file=sys.stderr)
        with contextlib.suppress(Exception):
            for line in log_lines(emulated, described(emulated, stack.name), function)[-LINES_MAX:]:
                print(line, file=sys.stderr)


def webhook_reply() -> Callable[[Request], Reply]:
    """Refuses the first post-action event, and takes everything else."""
    refused: List[Request] = []

    def reply(request: Request) -> Reply:
        if request.path == "/post" and not refused:
            refused.append(request)
            return 503, "{}"
        return 200, ""

    return reply


def twilio_reply(request: Request) -> Reply:
    return 201, json.dumps({"sid": "SM" + "9" * 32, "status": "queued", "num_segments": "1"})


def main() -> None:
    work, sam, architecture = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    door.resolve_localhost()
    with contextlib.ExitStack() as running:
        webhook = running.enter_context(receiver(webhook_reply()))
        twilio = running.enter_context(receiver(twilio_reply))
        step("start the emulator")
        emulated = running.enter_context(emulator(work, {"CROSSPOINT_TWILIO_API_URL": twilio.url}))
        parameters = {
            "AccountSid": ACCOUNT,
            "AuthToken": TOKEN,
            "TwilioAccountSid": door.TWILIO_SID,
            "TwilioAuthToken": door.TWILIO_TOKEN,
            # The user's webhook and the stand-in of Twilio listen on loopback.
            "CallAllow": "127.0.0.0/8",
            "Architecture": architecture,
        }
        check(System(emulated, sam, work / "build", parameters, webhook, twilio))
    step("done")


if __name__ == "__main__":
    main()
