"""Takes in what was sent by the contact form: it is stored once, and staff get it by mail."""

import logging
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string

from accounts.mail.letters import owe_letter
from accounts.models import ContactMessage, User

logger = logging.getLogger(__name__)

_SAID = ("email", "subject", "text")


@transaction.atomic
def receive(message: ContactMessage) -> bool:
    """Store a message and owe it to staff, if it is no spam; gives whether it is new.

    A form that is sent twice is one message. One that was edited in between is two.
    """
    try:
        _store(message)
    except IntegrityError:
        earlier = ContactMessage.objects.get(form_id=message.form_id)
        if all(getattr(message, said) == getattr(earlier, said) for said in _SAID):
            return False
        message.form_id = uuid4()
        _store(message)
    if not message.is_spam:
        _mail(message)
    return True


def _store(message: ContactMessage) -> None:
    # A savepoint: on PostgreSQL the error would end the transaction around it.
    with transaction.atomic():
        message.save()


def _mail(message: ContactMessage) -> None:
    readers = _readers()
    if not readers:
        logger.warning("A message by the contact form is mailed to nobody: there is no active superuser")
    text = render_to_string("contact/letter.txt", {"message": message})
    for reader in readers:
        owe_letter("contact", reader, f"Contact: {message.subject}", text, reply_to=message.email)


def _readers() -> list[str]:
    if settings.CONTACT_EMAIL:
        return [settings.CONTACT_EMAIL]
    staff = User.objects.filter(is_superuser=True, is_active=True).exclude(email="")
    return list(staff.order_by("pk").values_list("email", flat=True))
