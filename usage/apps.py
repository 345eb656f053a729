from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "usage"

    def ready(self) -> None:
        from accounts.mail import outboxes
        from usage import (
            announcements,  # noqa: F401  (connects its signal receivers)
            api_routes,
            closed_accounts,  # noqa: F401  (connects its signal receiver)
            key_facts,
            key_notices,  # noqa: F401  (likewise)
            task_runs,  # noqa: F401  (likewise)
        )
        from usage.blocks import revoked  # noqa: F401  (likewise)
        from usage.escalation.memory import SqlMemory
        from usage.limits.store import limit_store
        from usage.mail.outbox import OUTBOX

        limit_store().memory = SqlMemory()
        api_routes.register()
        key_facts.register()
        outboxes.register(OUTBOX)
