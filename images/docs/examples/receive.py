"""Receive webhooks: python3 receive.py PORT

KOALA_WEBHOOK_SECRET is your account's secret (whsec_…). Prints the events that are ours.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["KOALA_WEBHOOK_SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        # The bytes as they came: parsed and written anew, they would not verify.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            event = webhook.verify(body, headers)
        except WebhookVerificationError as error:
            self.send_error(400, str(error))
            return
        # An event may come twice: keep the ids of those that you have dealt with.
        print(headers["webhook-id"], event["type"], event["data"]["id"], flush=True)
        self.send_response(204)
        self.end_headers()


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
