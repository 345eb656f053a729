"""Pages of Django's admin as a person uses them: open the form, change some fields, save."""

from html.parser import HTMLParser

from django.contrib.admin.utils import quote

ADMIN = "/admin/"


class _Fields(HTMLParser):
    """What a browser would send of the page's one form: its fields, as they are filled in."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._inside = False
        self._select = self._textarea = None
        self._text = ""

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        if tag == "form":
            self._inside = str(has.get("id", "")).endswith("_form")
        elif not self._inside:
            return
        elif tag == "input" and has.get("type") not in ("submit", "file"):
            can_be_ticked = has.get("type") in ("checkbox", "radio")
            if not can_be_ticked or "checked" in has:
                self.values.setdefault(has["name"], []).append(
                    has.get("value", "on" if can_be_ticked else "")
                )
        elif tag == "select":
            self._select = has["name"]
        elif tag == "option" and self._select and "selected" in has:
            self.values.setdefault(self._select, []).append(has.get("value", ""))
        elif tag == "textarea":
            self._textarea, self._text = has["name"], ""

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self._textarea:
            self.values[self._textarea] = [self._text.removeprefix("\n").removeprefix("\r\n")]
            self._textarea = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._inside = False


def filled_in(response):
    """The fields of a page's form by name: a text, or a list of texts where there are more."""
    parser = _Fields()
    parser.feed(response.content.decode())
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in parser.values.items()}


def change_page(row):
    return f"{list_page(row)}{_quoted(row)}/change/"


def delete_page(row):
    return f"{list_page(row)}{_quoted(row)}/delete/"


def _quoted(row):
    """The admin reads "_41" in an address as "A"."""
    return quote(str(row.pk))


def list_page(model):
    return f"{ADMIN}{model._meta.app_label}/{model._meta.model_name}/"


def change(client, row, *, reason="a test", without=(), **fields):
    """Open the row's page, change these fields, leave some out as an empty checkbox is, and save."""
    page = client.get(change_page(row))
    assert page.status_code == 200
    form = {**filled_in(page), "reason": reason, **fields}
    return client.post(change_page(row), {name: form[name] for name in form if name not in without})


def act(client, action, *rows, reason=None, where=None, follow=True, **fields):
    """Choose an action in a list; with a reason, or other fields, answer the page that asks for it."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **fields}
    if reason is None and not fields:
        form["index"] = "0"
    elif reason is not None:
        form |= {"confirmed": "yes", "reason": reason}
    return client.post(where or list_page(rows[0]), form, follow=follow)


def errors(response):
    """What a form complains of, all in one text."""
    form = response.context["adminform"].form
    return " ".join(message for messages in form.errors.values() for message in messages)


def said(response):
    return [str(message) for message in response.context["messages"]]
