"""The form of a service that people may sign in to: what staff choose, in place of what allauth keeps."""

from typing import Any

from allauth.idp.oidc.models import Client
from django import forms
from django.core.exceptions import ValidationError

from accounts.audited_form import AuditedForm
from accounts.identity.redirect_uris import check_redirect_uri, is_loopback
from accounts.identity.scopes import SCOPES

_LINES = forms.Textarea(attrs={"rows": 3, "cols": 80})


class ClientForm(AuditedForm[Client]):
    """`scopes` without `openid`, which every service has."""

    redirect_uris = forms.CharField(
        label="Redirect addresses",
        widget=_LINES,
        help_text="Where people are sent back to, one per line, in full; compared character for character. "
        "https, or http://127.0.0.1/… for a program on a person's own machine (with any port).",
    )
    post_logout_redirect_uris = forms.CharField(
        label="Addresses after signing out",
        widget=_LINES,
        required=False,
        help_text="Where the service may send people once they signed out, one per line; likewise.",
    )
    scopes = forms.MultipleChoiceField(
        label="What it may learn",
        choices=[(scope, words) for scope, words in SCOPES.items() if scope != "openid"],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=f"Besides: {SCOPES['openid'].lower()}. People are told, and asked.",
    )
    stays = forms.BooleanField(
        label="May stay connected",
        required=False,
        help_text="By refresh tokens, until the person disconnects it or it isn't used for 30 days. "
        "Otherwise it has access for an hour.",
    )

    class Meta:
        model = Client
        fields = ("name", "type", "redirect_uris", "post_logout_redirect_uris", "scopes", "skip_consent")
        widgets = {"type": forms.RadioSelect}
        labels = {"skip_consent": "Don't ask people"}
        help_texts = {
            "name": "As people know the service; they read it when they are asked.",
            "type": "Confidential: a server that can keep a secret. Public: a program that people have.",
            "skip_consent": "For services of your own: whoever is signed in here is signed in there at once.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client = self.instance
        if not client._state.adding:
            self.initial["scopes"] = [scope for scope in client.get_scopes() if scope != "openid"]
            self.initial["post_logout_redirect_uris"] = "\n".join(client.get_post_logout_redirect_uris())
            self.initial["stays"] = Client.GrantType.REFRESH_TOKEN in client.get_grant_types()

    def clean_redirect_uris(self) -> str:
        return "\n".join(_checked(self.cleaned_data["redirect_uris"]))

    def clean_post_logout_redirect_uris(self) -> str:
        return "\n".join(_checked(self.cleaned_data["post_logout_redirect_uris"]))

    def clean_scopes(self) -> str:
        """As allauth keeps them, in an order of ours: ticking the same boxes again changes nothing."""
        return "\n".join(scope for scope in SCOPES if scope in {"openid", *self.cleaned_data["scopes"]})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        client = self.instance
        kind = cleaned.get("type") or client.type
        addresses = cleaned.get("redirect_uris", "").splitlines()
        if cleaned.get("skip_consent") and (
            kind == Client.Type.PUBLIC or any(is_loopback(uri) for uri in addresses)
        ):
            self.add_error(
                "skip_consent",
                "People are asked by every program that they have themselves: another program on the same "
                "machine can pretend to be it.",
            )
        stays = [Client.GrantType.REFRESH_TOKEN.value] if cleaned.get("stays") else []
        client.set_grant_types([Client.GrantType.AUTHORIZATION_CODE.value, *stays])
        client.set_post_logout_redirect_uris(cleaned.get("post_logout_redirect_uris", "").splitlines())
        return cleaned


def _checked(text: str) -> list[str]:
    """The addresses, one per line, each once; raises `ValidationError` with all that is wrong."""
    uris = list(dict.fromkeys(filter(None, (line.strip() for line in text.splitlines()))))
    errors: list[ValidationError] = []
    for uri in uris:
        try:
            check_redirect_uri(uri)
        except ValidationError as error:
            errors.append(error)
    if errors:
        raise ValidationError(errors)
    return uris
