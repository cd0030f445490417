"""HTTP servers of other parties, on loopback: the user's webhook, and a stand-in of Twilio's API."""

import contextlib
import http.server
import threading
import urllib.parse
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple


class Request(NamedTuple):
    path: str
    # Names in lower case.
    headers: Dict[str, str]
    form: Dict[str, str]


# What a server answers: the status, and the body as JSON.
Reply = Tuple[int, str]


class Receiver(NamedTuple):
    url: str
    # In the order of arrival. Other threads append.
    requests: List[Request]


@contextlib.contextmanager
def receiver(reply: Callable[[Request], Reply]) -> Iterator[Receiver]:
    """A server on a free port that keeps every request, and answers what `reply` says."""
    requests: List[Request] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            pairs = urllib.parse.parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, dict(pairs))
            requests.append(request)
            status, body = reply(request)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """The check prints its steps, and no line a request."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
