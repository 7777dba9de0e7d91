"""Meta's Graph API as far as sending needs it: takes `POST /{version}/{phone_number_id}/messages`, remembers the call,
and answers with a message id."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeGraph:
    """Listens on a free port of 127.0.0.1 until `close`."""

    def __init__(self):
        self.calls = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def accept(self, path, authorization, body):
        """Remembers a call and answers its message id."""
        with self._lock:
            wamid = f"wamid.FAKE{len(self.calls) + 1:08}"
            self.calls.append({"path": path, "authorization": authorization, "body": body, "wamid": wamid})
        return wamid

    def _handler(graph):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                if not self.path.endswith("/messages"):
                    self.answer(404, {"error": {"code": 100, "message": "Unknown path", "type": "OAuthException"}})
                    return
                wamid = graph.accept(self.path, self.headers.get("authorization"), body)
                to = body.get("to") or body.get("recipient")
                self.answer(200, {
                    "messaging_product": "whatsapp",
                    "contacts": [{"input": to, "wa_id": str(to).lstrip("+")}],
                    "messages": [{"id": wamid, "message_status": "accepted"}],
                })

            def answer(self, status, body):
                payload = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_):
                """Silent: a test looks at `calls`."""

        return Handler
