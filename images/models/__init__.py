from images.models.download import Download
from images.models.job import Job

__all__ = ["Download", "Job"]
