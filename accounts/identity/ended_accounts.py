"""Takes back what an account gave to services once it is disabled; deleting it does so by itself."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts.identity import grants
from accounts.models import User


@receiver(post_save, sender=User)
def end_what_it_gave(instance: User, **kwargs: Any) -> None:
    """While disabled its tokens are refused in any case; so they don't come back with it either."""
    if not instance.is_active:
        grants.end_all(instance)
