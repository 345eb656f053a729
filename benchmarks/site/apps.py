from django.apps import AppConfig


class BenchmarkConfig(AppConfig):
    name = "benchmarks.site"
    label = "benchmark"

    def ready(self) -> None:
        from usage.routes import ApiRoute, register

        register(ApiRoute("bench", "GET", "/api/v1/bench", charged=True))
