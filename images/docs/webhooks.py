"""Webhooks as the page tells of them: an event that verifies, and the numbers in force."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from ninja.responses import NinjaJSONEncoder
from standardwebhooks import Webhook

from images.docs import jobs
from images.models import WebhookDelivery
from images.webhooks import calling, endpoints, schedule, signing
from usage.escalation.words import span

SPECIFICATION = "https://www.standardwebhooks.com/"
LIBRARIES = "https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries"

SECRET = "whsec_" + base64.b64encode(b"an example, and nobody's secret.").decode()
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ8f"

JAVASCRIPT = """\
import { Webhook } from "standardwebhooks"; // npm install standardwebhooks

const webhook = new Webhook(process.env.KOALA_WEBHOOK_SECRET);
const event = webhook.verify(body, request.headers); // throws if it isn't ours
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One as it is sent: `body` is shown with line breaks, and signed and sent as `sent`."""

    headers: dict[str, str]
    sent: str
    body: str

    @property
    def request(self) -> str:
        head = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join(["POST /hook HTTP/1.1", *head, "", self.body])


@dataclass(frozen=True, slots=True)
class Rules:
    """How events are sent, in words."""

    retries: list[str]
    answer_within: str
    longest_retry_after: str
    overlap: str
    most_addresses: int


def event(now: datetime) -> Event:
    """`job.completed`, signed with `SECRET`."""
    told = {
        "type": WebhookDelivery.Event.COMPLETED,
        "timestamp": now.replace(microsecond=0),
        "data": jobs.done_state(now).model_dump(),
    }
    sent = json.dumps(told, cls=NinjaJSONEncoder, separators=(",", ":"))
    return Event(
        headers={
            "Content-Type": "application/json",
            "webhook-id": ID,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(ID, now, sent),
        },
        sent=sent,
        body=json.dumps(json.loads(sent), indent=2, ensure_ascii=False),
    )


def rules() -> Rules:
    return Rules(
        retries=[span(int(pause.total_seconds())) for pause in schedule.RETRIES],
        answer_within=span(calling.ALL_SECONDS),
        longest_retry_after=span(int(schedule.LONGEST_RETRY_AFTER.total_seconds())),
        overlap=span(int(signing.OVERLAP.total_seconds())),
        most_addresses=endpoints.MOST_ENDPOINTS,
    )
