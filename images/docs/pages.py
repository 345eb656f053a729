"""Which pages there are, in the order in which people read them."""

from typing import NamedTuple


class Page(NamedTuple):
    """A page by the name of its address and of its template, with its title and what it is about."""

    name: str
    title: str
    about: str

    @property
    def template(self) -> str:
        return f"docs/{self.slug}.html"

    @property
    def slug(self) -> str:
        return self.name.removeprefix("docs_") if self.name != "docs" else "start"


START = Page("docs", "Start", "Your first request, and where a key comes from.")
LIMITS = Page(
    "docs_limits", "Limits", "How much each tier may do, what counts, and what happens to who overdoes it."
)
HEADERS = Page("docs_headers", "Headers", "What every answer says about your limits, and how to read it.")
REFUSALS = Page("docs_refusals", "Refusals", "Every code the API refuses with, why, and what to do about it.")
JOBS = Page("docs_jobs", "Jobs", "Converting, compressing and batches; waiting, polling and downloading.")
WEBHOOKS = Page("docs_webhooks", "Webhooks", "Being told when a job has ended, and how to be sure it was us.")
EXAMPLES = Page(
    "docs_examples",
    "Examples",
    "A client that waits as it should, in curl, Python, JavaScript and PowerShell.",
)
REHEARSAL = Page(
    "docs_rehearsal",
    "Rehearsal",
    "A key that answers any refusal on demand, to test your code with before it matters.",
)
API = Page("docs_api", "API reference", "Every route with its parameters, answers and headers.")

PAGES = (START, LIMITS, HEADERS, REFUSALS, JOBS, WEBHOOKS, EXAMPLES, REHEARSAL, API)
