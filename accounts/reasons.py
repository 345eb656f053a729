"""The field in which staff say why they do something."""

from django import forms

LONGEST_REASON = 1000


def reason_field(help_text: str = "Your colleagues read it in the audit log.") -> forms.CharField:
    """Required, and more than spaces."""
    return forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=help_text,
    )
