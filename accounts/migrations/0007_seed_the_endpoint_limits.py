"""The seven endpoint limits of the first day."""

from django.db import migrations

LIMITS = [
    ("entitlements", "What a key may do: GET …/entitlements/me", 300, 60),
    ("contact", "The contact form", 5, 900),
    ("login", "Signing in: a password or a second factor that is tried", 10, 60),
    ("password_reset", "Asking for a new password", 5, 900),
    ("oidc_authorize", "Signing in to another service with an account of ours", 60, 60),
    ("key_validation", "Asking whether a key is good, and each request with a key we do not know", 300, 60),
    ("download", "Downloading results", 30, 60),
]


def seed(apps, schema_editor):
    EndpointLimit = apps.get_model("accounts", "EndpointLimit")
    for name, description, requests, seconds in LIMITS:
        EndpointLimit.objects.get_or_create(
            name=name, defaults={"description": description, "requests": requests, "seconds": seconds}
        )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_endpoint_limits_audit_and_letters")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
