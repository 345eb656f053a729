"""The rule of REQUIRE_STAFF_MFA: who of the staff lacks a second factor, and which one can't be removed."""

from allauth.mfa.models import Authenticator
from django.conf import settings

from accounts.models import User

# Recovery codes only stand in for one of these.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def is_owed_by(user: User) -> bool:
    """Whether `user` must set up a second factor before anything else: a query for staff, none for others."""
    return is_bound(user) and not Authenticator.objects.filter(user=user, type__in=FACTORS).exists()


def is_bound(user: User) -> bool:
    return bool(settings.REQUIRE_STAFF_MFA and user.is_active and user.is_staff)


def needs(authenticator: Authenticator) -> bool:
    """Whether it is the last second factor of somebody who must have one."""
    if not is_bound(authenticator.user):
        return False
    others = Authenticator.objects.filter(user=authenticator.user, type__in=FACTORS)
    return not others.exclude(pk=authenticator.pk).exists()
