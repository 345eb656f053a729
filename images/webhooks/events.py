"""What an event says: made from the job's row at each attempt, so that its download address is fresh."""

import json

from ninja.responses import NinjaJSONEncoder

from images import schemas
from images.models import Job, WebhookDelivery


def body_of(delivery: WebhookDelivery, job: Job) -> str:
    """JSON. `timestamp` is when it happened; `data` is the job as `GET /api/v1/jobs/{id}` gives it."""
    event = {
        "type": delivery.event,
        "timestamp": job.ended_at or delivery.created_at,
        "data": schemas.state_of(job).model_dump(),
    }
    return json.dumps(event, cls=NinjaJSONEncoder, separators=(",", ":"))
