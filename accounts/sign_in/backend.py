"""Who has this address and this password."""

from typing import Any

from django.contrib.auth.backends import AllowAllUsersModelBackend
from django.contrib.auth.models import Permission
from django.db.models import Q

from accounts.models import User


class EmailBackend(AllowAllUsersModelBackend):
    """Django's, which spends the same time on an address that nobody has.

    Not allauth's: that also tries accounts that are only being changed to the address. Whoever puts somebody
    else's address there would learn from the answers whether it has an account.

    It gives disabled accounts, too, to whoever knows their password: allauth tells them so, on a page of its
    own, instead of signing them in.
    """

    def get_user(self, user_id: int) -> User | None:
        """The account of a session, unless it has been disabled since."""
        user = super().get_user(user_id)
        return user if isinstance(user, User) and user.is_active else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """A person's own and those of their groups, by one query where Django's takes two: it is asked for on
        every page of staff. Remembered with the user, as Django does.
        """
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            found = Permission.objects.all()
            if not user_obj.is_superuser:
                found = found.filter(Q(user=user_obj) | Q(group__user=user_obj)).distinct()
            names = found.order_by().values_list("content_type__app_label", "codename")
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in names}
        remembered: set[str] = user_obj._perm_cache
        return remembered
