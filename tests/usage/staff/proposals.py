"""How staff go through a change over HTTP: the form, the preview, the confirmation."""

from html.parser import HTMLParser


class _Forms(HTMLParser):
    """What a browser would send of each form of a page, by the form's action."""

    def __init__(self):
        super().__init__()
        self.forms, self._form, self._select, self._area = {}, None, None, None

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        if tag == "form":
            self._form = self.forms.setdefault(has.get("action"), {})
        elif self._form is None:
            return
        elif tag == "input" and has.get("type") not in ("submit", "file") and "name" in has:
            self._form[has["name"]] = has.get("value", "")
        elif tag == "select":
            self._select = has["name"]
        elif tag == "option" and self._select and "selected" in has:
            self._form[self._select] = has.get("value", "")
        elif tag == "textarea":
            self._area = has["name"]
            self._form[self._area] = ""

    def handle_data(self, data):
        if self._area:
            self._form[self._area] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self._area:
            self._form[self._area] = self._form[self._area].removeprefix("\r\n").removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._form = None


def form_at(response, action):
    """The fields of the form that is sent to `action`, as the page has filled them in."""
    parser = _Forms()
    parser.feed(response.content.decode())
    fields = dict(parser.forms[action])
    fields.pop("csrfmiddlewaretoken", None)
    return fields


def has_form(response, action):
    parser = _Forms()
    parser.feed(response.content.decode())
    return action in parser.forms


def propose(client, page, **values):
    """Fill in the form of a page and send it; the page that follows, which is the preview if all is well."""
    fields = form_at(client.get(page), page)
    return client.post(page, fields | values, follow=True)


def confirm(client, preview, page, **values):
    """Answer a preview that was shown."""
    return client.post(f"{page}preview/", form_at(preview, f"{page}preview/") | values, follow=True)


def change(client, page, *, reason="a test", typed=None, **values):
    preview = propose(client, page, **values)
    answers = {"reason": reason} | ({} if typed is None else {"typed": typed})
    return confirm(client, preview, page, **answers)


def undo(client, response, page):
    """Press the Undo of a page that was shown."""
    return client.post(f"{page}undo/", form_at(response, f"{page}undo/"), follow=True)


def text_of(response):
    """What a person reads, with single spaces."""
    import re

    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    plain = re.sub(r"<[^>]+>", " ", body)
    for entity, character in (("&#x27;", "'"), ("&amp;", "&"), ("&quot;", '"')):
        plain = plain.replace(entity, character)
    return " ".join(plain.split())


def said(response):
    return [str(message) for message in response.context["messages"]]
