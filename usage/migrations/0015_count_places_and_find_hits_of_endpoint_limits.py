"""Indexes for staff's pages: who stands on the ladder, and what endpoint limits refused."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_count_a_tiers_keys_and_keep_revisions"),
        ("usage", "0014_totals_for_staff"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="escalationstate",
            index=models.Index(
                condition=models.Q(("escalation__gt", 0)),
                fields=["escalation", "until"],
                name="escalation_state_by_tier",
            ),
        ),
        migrations.AddIndex(
            model_name="ratehit",
            index=models.Index(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "contact",
                            "download",
                            "entitlements",
                            "key_validation",
                            "login",
                            "oidc_authorize",
                            "password_reset",
                        ],
                    )
                ),
                fields=["kind", "minute"],
                name="rate_hit_of_endpoint_limits",
            ),
        ),
    ]
