"""The Django site under load: one trivial view behind one of several limiters (`BENCHMARK_LIMITER`)."""
