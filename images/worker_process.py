"""What one of the worker's processes may take from the rest of the machine."""

import os
import resource

from celery.signals import worker_process_init

# Bytes of address space. A conversion within the pixel limit was seen to take 1.9 GB (49 megapixels to AVIF).
MOST_MEMORY = 3 * 1024**3
# Encoders use every core they find; requests, and the limit store's 50 ms, come first.
NICENESS = 10


@worker_process_init.connect  # type: ignore[untyped-decorator]
def take_no_more_than_a_share(**kwargs: object) -> None:
    """Asking for more memory is a `MemoryError` there and then: it fails that job and nothing else."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    os.nice(NICENESS)
