"""ministack: an emulator of AWS in one process. It runs the functions' binaries as they are, without Docker."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Dict, Iterator, NamedTuple

import botocore.client
import botocore.session

from waiting import wait_for

REGION = "us-east-1"
# The emulator's root user. These are no credentials of AWS.
KEY = "test"


class Emulator(NamedTuple):
    port: int
    # For a program that shall talk to the emulator, and never to AWS.
    environment: Dict[str, str]

    def client(self, service: str) -> botocore.client.BaseClient:
        session = botocore.session.Session()
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
        )


@contextlib.contextmanager
def emulator(work: pathlib.Path, functions: Dict[str, str]) -> Iterator[Emulator]:
    """Starts it on a free port of loopback, and ends it with all its functions.

    Every function inherits the variables in `functions`: the template that AWS gets has none for an emulator.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CROSSPOINT_"))},
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "NO_PROXY": "*",
    }
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        # Opens a port on all interfaces otherwise.
        "IOT_MTLS_ENABLED": "0",
        # Enforces the policies of the functions' roles.
        "AUTH": "true",
        # The emulator does not read the functions' LogFormat.
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "TMPDIR": str(work / "tmp"),
    }
    (work / "tmp").mkdir(parents=True, exist_ok=True)
    program = pathlib.Path(sys.executable).parent / "ministack"
    with open(work / "emulator.log", "wb") as log:
        # A session of its own: the functions are in the same process group, and end with it.
        process = subprocess.Popen(
            [program],
            env={**environment, **settings, **functions},
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for("the emulator", lambda: is_ready(endpoint, process))
        yield Emulator(port, environment)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_ready(endpoint: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "the emulator ended; see emulator.log"
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
