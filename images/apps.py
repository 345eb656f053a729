from django.apps import AppConfig


class ImagesConfig(AppConfig):
    name = "images"

    def ready(self) -> None:
        from images import (
            closed_accounts,  # noqa: F401  (connects its signal receiver)
            job_counts,
            routes,
            vitals,
        )

        job_counts.register()
        routes.register()
        vitals.register()
