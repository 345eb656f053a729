"""How long what is known of webhooks is kept."""

from datetime import timedelta

from django.utils import timezone

from images.models import WebhookDelivery, WebhookEndpoint, WebhookSecret

KEPT_FOR = timedelta(days=30)
# A run is short; the next one goes on.
BATCH = 5_000


def forget_what_is_old() -> int:
    """Remove deliveries with their log, addresses nobody uses, former secrets; gives how many deliveries.

    What is still on its way stays. An address that is disabled stays longer, so that a program which goes on
    using it is told so.
    """
    now = timezone.now()
    old = WebhookDelivery.objects.filter(created_at__lt=now - KEPT_FOR, next_attempt_at=None)
    batch = list(old.order_by("created_at").values_list("pk", flat=True)[:BATCH])
    removed = WebhookDelivery.objects.filter(pk__in=batch).delete()[1]
    unused = WebhookEndpoint.objects.filter(last_used_at__lt=now - KEPT_FOR, deliveries=None).idle()
    unused.filter(disabled_at=None).delete()
    unused.filter(last_used_at__lt=now - 12 * KEPT_FOR).delete()
    WebhookSecret.objects.filter(former_until__lt=now).update(former_sealed="", former_until=None)
    return removed.get(WebhookDelivery._meta.label, 0)
