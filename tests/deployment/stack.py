"""The stack, deployed to the emulator by the command that a user gives."""

import pathlib
import subprocess
from typing import Any, Dict, List, NamedTuple

import yaml

from emulator import Emulator


class Stack(NamedTuple):
    name: str
    outputs: Dict[str, str]
    # By logical name.
    resources: Dict[str, str]


def for_the_emulator(template: Dict[str, Any]) -> Dict[str, Any]:
    """The template with a resource type that the emulator has, where it lacks AWS's."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::RolePolicy":
            resource["Type"] = "AWS::IAM::Policy"
            properties = resource["Properties"]
            properties["Roles"] = [properties.pop("RoleName")]
    return template


def deploy(
    emulator: Emulator, sam: pathlib.Path, build: pathlib.Path, name: str, parameters: Dict[str, str]
) -> Stack:
    """Makes or updates a stack of the built functions. A parameter that is not named keeps its value."""
    template = yaml.safe_load((build / "template.yaml").read_text())
    deployed = build / "emulator.yaml"
    deployed.write_text(yaml.safe_dump(for_the_emulator(template)))
    overrides = [f"{key}={value}" for key, value in parameters.items()]
    run(
        emulator,
        build,
        [sam, "deploy", "--template-file", deployed, "--stack-name", name, "--resolve-s3", "--no-progressbar"]
        + ["--capabilities", "CAPABILITY_IAM", "--parameter-overrides", *overrides],
    )
    return described(emulator, name)


def described(emulator: Emulator, name: str) -> Stack:
    formation = emulator.client("cloudformation")
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    resources = formation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(name, outputs, {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources})


def delete(emulator: Emulator, sam: pathlib.Path, build: pathlib.Path, stack: Stack) -> None:
    run(emulator, build, [sam, "delete", "--stack-name", stack.name, "--no-prompts"])


def run(emulator: Emulator, directory: pathlib.Path, command: List[Any]) -> None:
    """Runs a command, and shows its output where it fails."""
    ran = subprocess.run(
        [str(word) for word in command],
        env=emulator.environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, f"{command[1]} failed:\n{ran.stdout}"
