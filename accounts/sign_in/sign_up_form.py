"""The sign-up form: allauth's, which by itself cuts an address to what its column holds."""

from typing import Any

from allauth.account.forms import SignupForm
from django.core.validators import MaxLengthValidator

from accounts.models import User


class SignUpForm(SignupForm):  # type: ignore[misc]
    """Refuses an address longer than an account can keep: a cut one is nobody's, or somebody else's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        email = self.fields["email"]
        email.max_length = User._meta.get_field("email").max_length
        # The field made its own validator and attribute for Django's 320 characters when it was declared.
        email.validators = [known for known in email.validators if not isinstance(known, MaxLengthValidator)]
        email.validators.append(MaxLengthValidator(email.max_length))
        # With it the browser would cut what is pasted, and say nothing.
        email.widget.attrs.pop("maxlength", None)
