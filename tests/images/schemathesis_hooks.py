"""How schemathesis sends images, and what it makes of the document. Loaded by `st`, not by pytest."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.transport.serialization import Binary

from images.drawings import draw
from images.formats import INPUTS

PICTURES = [draw(1, (24, 16), source.name) for source in INPUTS]
DAMAGED = [picture[: len(picture) // 2] for picture in PICTURES]

images = st.sampled_from(PICTURES) | st.sampled_from(DAMAGED) | st.binary(min_size=1, max_size=200)
# For a field that is a file, and for each of a field of files.
schemathesis.openapi.media_type("image/png", images)
schemathesis.openapi.format("binary", images.map(Binary))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for schema in raw_schema["components"]["schemas"].values():
        # A field that the document doesn't have is no less undocumented than a status.
        if "properties" in schema:
            schema["additionalProperties"] = False
    # schemathesis takes the older way to write it for a list of files, and the newer for one file.
    batch = raw_schema["paths"]["/api/v1/batch"]["post"]["requestBody"]["content"]["multipart/form-data"]
    del batch["encoding"]
    batch["schema"]["properties"]["files"]["items"] = {"type": "string", "format": "binary"}
