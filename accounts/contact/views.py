"""The contact page, for everybody: a customer whose key is suspended, and who can't sign in any more."""

from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.contact.form import ContactForm
from accounts.contact.receiving import receive
from accounts.endpoint_limits.limiter import limited


@limited("contact")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def contact(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        email = request.user.email if request.user.is_authenticated else ""
        return _page(request, ContactForm(initial={"email": email, "form_id": uuid4()}))
    form = ContactForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    message = form.message()
    message.sender = request.user if request.user.is_authenticated else None
    receive(message)
    return redirect("contact_sent")


@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    return render(request, "contact/sent.html")


def _page(request: HttpRequest, form: ContactForm, status: int = 200) -> HttpResponse:
    return render(request, "contact/contact.html", {"form": form}, status=status)
