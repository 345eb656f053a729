"""Who has this address and this password."""

from django.contrib.auth.backends import AllowAllUsersModelBackend

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
