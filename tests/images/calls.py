"""How the tests call the API."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from images.drawings import draw
from images.models import AccountQueue, Job
from images.models.account_queue import account_queue_id
from images.queue import attempts


def upload(content: bytes, name: str = "koala.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def convert(
    client: Client, content: bytes, output_format: str = "webp", *, name: str = "koala.png", **fields
):
    """POST /api/v1/convert with `content` as its file; further form fields by name."""
    return client.post(
        "/api/v1/convert", {"file": upload(content, name), "output_format": output_format, **fields}
    )


def convert_short(client: Client, content: bytes, target_format: str = "webp", **fields):
    return client.post("/convert", {"file": upload(content), "targetFormat": target_format, **fields})


def submit(client: Client, content: bytes | None = None, **fields) -> Job:
    """A job that waits, by its row."""
    answer = convert(client, content or draw(1, (30, 20), "png"), **{"async": "true"}, **fields)
    assert answer.status_code == 202, answer.content
    return Job.objects.get(pk=answer.json()["id"])


def state(client: Client, job: Job) -> dict:
    """What the API says of it."""
    return client.get(f"/api/v1/jobs/{job.pk}").json()


def run_jobs() -> None:
    """Do what the workers do until nothing is left that may run."""
    attempts.work()


def make_job(owner: User | None, status: str, **fields) -> Job:
    """A row as if its job had got so far, counted in its queue."""
    subject_id = fields.setdefault("subject_id", "ip:192.0.2.1/32")
    queue_id = subject_id if owner is None else account_queue_id(owner.pk)
    queue, _ = AccountQueue.objects.get_or_create(pk=queue_id)
    job = Job.objects.create(
        owner=owner, status=status, queue=queue, output_format="webp", input_bytes=1, **fields
    )
    queue.move(entered=status)
    return job
