from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.endpoint_limits import rates  # noqa: F401  (connects its signal receivers)
        from accounts.identity import ended_accounts  # noqa: F401  (so does this one)
        from accounts.mail import letters, outboxes

        outboxes.register(letters.OUTBOX)
