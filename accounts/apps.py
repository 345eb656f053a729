from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.endpoint_limits import rates  # noqa: F401  (connects its signal receivers)
        from accounts.mail import letters, outboxes

        outboxes.register(letters.OUTBOX)
