from images.models.account_queue import AccountQueue
from images.models.download import Download
from images.models.job import Job
from images.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret

__all__ = [
    "AccountQueue",
    "Download",
    "Job",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
]
