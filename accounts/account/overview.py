"""What the account page tells: one small fact for each of its cards."""

from dataclasses import dataclass

from allauth.mfa.models import Authenticator

from accounts.account import sessions
from accounts.account.two_factor import staff_rule
from accounts.models import User
from accounts.sealing import BrokenSeal

FEW_CODES = 3


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """`recovery_codes` is how many are left; `None` without any set of them, or if they can't be read."""

    has_app: bool
    security_keys: int
    recovery_codes: int | None
    is_required: bool

    @property
    def is_on(self) -> bool:
        return self.has_app or self.security_keys > 0

    @property
    def has_few_codes(self) -> bool:
        return self.is_on and (self.recovery_codes or 0) <= FEW_CODES


@dataclass(frozen=True, slots=True)
class Overview:
    second_factor: SecondFactor
    sign_ins: int


def overview_of(user: User) -> Overview:
    return Overview(second_factor_of(user), sessions.number_of_sign_ins(user))


def second_factor_of(user: User) -> SecondFactor:
    found = list(Authenticator.objects.filter(user=user))
    types = [authenticator.type for authenticator in found]
    return SecondFactor(
        has_app=Authenticator.Type.TOTP in types,
        security_keys=types.count(Authenticator.Type.WEBAUTHN),
        recovery_codes=_codes_left(found),
        is_required=staff_rule.is_bound(user),
    )


def _codes_left(found: list[Authenticator]) -> int | None:
    for authenticator in found:
        if authenticator.type == Authenticator.Type.RECOVERY_CODES:
            try:
                return len(authenticator.wrap().get_unused_codes())
            except BrokenSeal:
                return None
    return None
