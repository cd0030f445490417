"""The policies of the functions' roles: which actions they allow, and whether a function misses one that is gone."""

import contextlib
import json
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

from emulator import Emulator
from stack import Stack
from waiting import wait_for

FUNCTIONS = ("Inbound", "Admin", "Dispatch")
# What AWS says, and the emulator too.
REFUSAL = "AccessDenied"
# What the functions call themselves. Lambda itself reads the stream, fills the queue and writes the logs.
CALLED_BY_FUNCTIONS = (
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "lambda:InvokeFunction",
)
CALLED_BY_LAMBDA = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "sqs:SendMessage",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
)


class Permission(NamedTuple):
    """An action that a function's role allows, on the table itself or on its indexes, or on a function."""

    function: str
    action: str
    of_index: bool = False


class Policy(NamedTuple):
    role: str
    name: str
    document: Dict[str, Any]


def policies(emulator: Emulator, stack: Stack, function: str) -> List[Policy]:
    iam = emulator.client("iam")
    role = stack.resources[f"{function}Role"]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    found = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    return [Policy(role, name, document) for name, document in zip(names, found)]


def statements(policy: Policy, function: str) -> Iterator[Any]:
    """Each statement with the permissions in it."""
    for statement in policy.document["Statement"]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        of_index = "/index/" in json.dumps(statement["Resource"])
        yield statement, [Permission(function, action, of_index) for action in actions]


def permissions(emulator: Emulator, stack: Stack) -> List[Permission]:
    """Every permission that the functions themselves use."""
    found = [
        permission
        for function in FUNCTIONS
        for policy in policies(emulator, stack, function)
        for _, allowed in statements(policy, function)
        for permission in allowed
    ]
    unknown = {each.action for each in found} - {*CALLED_BY_FUNCTIONS, *CALLED_BY_LAMBDA}
    assert not unknown, f"the check does not know who needs {unknown}"
    return [each for each in found if each.action in CALLED_BY_FUNCTIONS]


@contextlib.contextmanager
def without(emulator: Emulator, stack: Stack, missing: Permission) -> Iterator[None]:
    """Takes one permission from its role for a while."""
    iam = emulator.client("iam")
    whole = policies(emulator, stack, missing.function)
    for policy in whole:
        kept = []
        for statement, allowed in statements(policy, missing.function):
            actions = [each.action for each in allowed if each != missing]
            if actions:
                kept.append({**statement, "Action": actions})
        put(iam, policy._replace(document={**policy.document, "Statement": kept}))
    try:
        yield
    finally:
        for policy in whole:
            put(iam, policy)


def put(iam: Any, policy: Policy) -> None:
    if policy.document["Statement"]:
        document = json.dumps(policy.document)
        iam.put_role_policy(RoleName=policy.role, PolicyName=policy.name, PolicyDocument=document)
    else:
        iam.delete_role_policy(RoleName=policy.role, PolicyName=policy.name)


def log_lines(emulator: Emulator, stack: Stack, function: str) -> List[str]:
    """What the function wrote, without the lines of the platform."""
    logs = emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=stack.resources[f"{function}Log"])
    lines = [event["message"] for page in pages for event in page["events"]]
    return [line for line in lines if not line.startswith(("START ", "END ", "REPORT "))]


def refusals(emulator: Emulator, stack: Stack, function: str) -> int:
    return sum(REFUSAL in line for line in log_lines(emulator, stack, function))


def is_missed(emulator: Emulator, stack: Stack, missing: Permission, use: Callable[[], None]) -> None:
    """Takes the permission away, lets the function need it, and waits until the function's log names a refusal."""
    before = refusals(emulator, stack, missing.function)
    with without(emulator, stack, missing):
        use()
        what = f"a refusal in the log of {missing.function} without {missing.action}"
        wait_for(what, lambda: refusals(emulator, stack, missing.function) > before)
