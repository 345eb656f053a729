"""An account: a person who signs in by email and owns API keys."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new account; without a password nobody can sign in to it until one is set."""
        if not email:
            raise ValueError("An account needs an email address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """An account that may do everything; its address counts as verified: its maker vouches for it."""
        with transaction.atomic(using=self._db):
            user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
            user.vouch_for_address()
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """An account. It has one address, kept in small letters; `emailaddress_set`, which is allauth's, says
    whether it is verified, and has beside it the one that it is being changed to, if any.
    """

    email = models.EmailField("email address", unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May open the staff pages.")
    is_active = models.BooleanField("active", default=True, help_text="Untick instead of deleting.")
    wants_quota_emails = models.BooleanField(
        "mail at 80 % and 100 % of the day",
        default=True,
        db_default=True,
        help_text="Emails about blocks and suspensions are sent in any case.",
    )
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    emailaddress_set: Any  # allauth's, which has no types

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="one_account_per_email",
                violation_error_message="An account with this email address exists.",
            )
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.lower()
        super().save(*args, **kwargs)
        if kwargs.get("update_fields") is None or "email" in kwargs["update_fields"]:
            self._forget_former_addresses()

    def vouch_for_address(self) -> None:
        """Count the address as verified: a link that was sent to it was opened, or somebody knows it."""
        with transaction.atomic():
            self.emailaddress_set.exclude(email=self.email).delete()
            self.emailaddress_set.update_or_create(
                email=self.email, defaults={"verified": True, "primary": True}
            )

    def _forget_former_addresses(self) -> None:
        """An address that was changed, by staff as well, is free for another account, and the links sent for
        it are void. One that the account is only being changed to stays.
        """
        former = models.Q(verified=True) | models.Q(primary=True)
        if self.emailaddress_set.exclude(email=self.email).filter(former).exists():
            self.emailaddress_set.exclude(email=self.email).delete()
