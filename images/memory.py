"""A worker process gets only so much memory: what one picture may cost the others on the machine."""

import resource

from celery.signals import worker_process_init

# A conversion within the pixel limit was seen to take 1.9 GB of address space (49 megapixels to AVIF).
MOST = 3 * 1024**3


@worker_process_init.connect  # type: ignore[untyped-decorator]
def bound_memory(**kwargs: object) -> None:
    """More than that is a `MemoryError` in the process that asked, which fails its job and lives on."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (MOST if hard == resource.RLIM_INFINITY else min(MOST, hard), hard)
    )
