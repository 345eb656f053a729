"""An HTTP server in front of ours, as a load balancer is: it notes each request, and refuses some itself.

Ours names itself in the addresses that it gives out; these lead here as well.
"""

import http.client
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from usage.limits.refusals import Refusal

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
ASYNC = '--{boundary}\r\nContent-Disposition: form-data; name="async"\r\n\r\ntrue\r\n'


@dataclass
class Call:
    method: str
    path: str
    has_key: bool


class Front:
    """Passes on to `backend`, until its `with` block ends. Whatever `refusals` holds is answered first.

    With `in_background` no form waits for its job: ours answers 202 as it does when it is busy.
    """

    def __init__(self, backend: str, *, in_background: bool = False) -> None:
        self.backend = backend
        self.in_background = in_background
        self.calls: list[Call] = []
        self.refusals: list[Refusal] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"front": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self) -> list[str]:
        """The requests, a line each, without the parts that are different each time."""
        return [f"{call.method} {'/'.join(call.path.split('/')[:4])}" for call in self.calls]

    def __enter__(self) -> "Front":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    front: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        front = self.front
        front.calls.append(Call(self.command, self.path, "Authorization" in self.headers))
        if front.refusals:
            refused = front.refusals.pop(0)
            self._answer(refused.status, dict(refused.headers), refused.body)
            return
        headers = {name.title(): value for name, value in self.headers.items()}
        if front.in_background and body:
            boundary = self.headers.get_boundary()
            body = ASYNC.format(boundary=boundary).encode() + body
            headers["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection(front.backend.removeprefix("http://"), timeout=30)
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        if response.getheader("Content-Type", "").startswith("application/json"):
            content = content.replace(front.backend.encode(), front.url.encode())
        connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        self._answer(response.status, kept, content)

    do_POST = do_GET

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass
