from django.apps import AppConfig


class KoalaPanelConfig(AppConfig):
    name = "koalapanel"

    def ready(self) -> None:
        from koalapanel import checks  # noqa: F401  (registers them)
