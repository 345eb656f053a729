"""What clients send: the forms of the requests that make jobs, as OpenAPI shows them."""

from typing import Annotated

from ninja import Schema
from pydantic import Field

from images.formats import OUTPUTS
from images.models.webhook import LONGEST_URL
from images.uploads import MOST_FILES

MOST_PIXELS = 30_000  # a side
LARGEST_TARGET = 2**31 - 1  # as many bytes as SQL's number holds

Pixels = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
Quality = Annotated[int, Field(ge=1, le=100)]

_OUTPUT = "One of " + ", ".join(form.name for form in OUTPUTS) + "."
_BOTH = "In pixels. With one of width and height the other follows; with both the image fits inside."


class JobForm(Schema):
    """What can be said of every job."""

    webhook_url: str | None = Field(
        None,
        max_length=LONGEST_URL,
        examples=["https://koala.example/hooks"],
        description="The address to send `job.completed` or `job.failed` to; empty is none. With it the "
        "answer is 202 at once. Needs a key: what is sent is signed with the account's secret.",
    )


class SingleForm(JobForm):
    in_background: bool = Field(False, alias="async", description="Answer 202 at once instead of waiting.")


class Drawing(Schema):
    """How the image is to be made."""

    quality: Quality | None = Field(None, description="1 to 100, for webp, jpg and avif.")
    width: Pixels | None = Field(None, description=_BOTH)
    height: Pixels | None = Field(None, description=_BOTH)


class ConvertForm(SingleForm, Drawing):
    output_format: str = Field(description=_OUTPUT, examples=["webp"])


class ShortConvertForm(SingleForm, Drawing):
    output_format: str = Field(alias="targetFormat", description=_OUTPUT, examples=["webp"])


class CompressForm(SingleForm):
    quality: Quality | None = Field(
        None, description="1 to 100; what it means is the format's own. Either this or `target_bytes`."
    )
    target_bytes: Annotated[int, Field(ge=1, le=LARGEST_TARGET)] | None = Field(
        None,
        examples=[200_000],
        description="The result has at most so many bytes. Either this or `quality`.",
    )


class BatchForm(JobForm, Drawing):
    """One order for up to as many images as a batch may have."""

    output_format: str = Field(description=_OUTPUT, examples=["webp"])


FORMS = (ConvertForm, ShortConvertForm, CompressForm, BatchForm)
FILES = f"The images, {MOST_FILES} at most."
