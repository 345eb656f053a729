"""Rows as a CSV file that a spreadsheet may open: no cell of it is a formula, whoever wrote its text."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

# What spreadsheets take for the beginning of a formula; a tab or a line's end may come before it.
BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_response(
    filename: str, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> StreamingHttpResponse:
    """An attachment in UTF-8, sent row by row as `rows` gives them."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    return response


def defused(cell: str) -> str:
    """The same text, with an apostrophe before what would begin a formula: spreadsheets show it as text."""
    return f"'{cell}" if cell.startswith(BEGINS_A_FORMULA) else cell


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([defused(cell) for cell in row])
