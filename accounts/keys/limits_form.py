"""The form in which staff give a key its tier and limits of its own."""

from typing import Any

from django import forms

from accounts.audited_form import AuditedForm
from accounts.models import ApiKey, Tier
from accounts.tiers import LIMIT_KINDS

OVERRIDES = tuple(f"{kind}_override" for kind in LIMIT_KINDS)


class AuditedLimitsForm(AuditedForm[ApiKey]):
    """Any form with a key's tier among its fields: the tier of guests is none of a key's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tier = self.fields.get("tier")
        if isinstance(tier, forms.ModelChoiceField):
            tier.queryset = Tier.objects.exclude(slug=Tier.ANONYMOUS)


class LimitsForm(AuditedLimitsForm):
    """These alone. An empty number is the tier's."""

    class Meta:
        model = ApiKey
        fields = ("tier", *OVERRIDES)

    @property
    def overrides(self) -> dict[str, int | None]:
        """What was typed, by kind; once the form is valid."""
        return {kind: self.cleaned_data[f"{kind}_override"] for kind in LIMIT_KINDS}
