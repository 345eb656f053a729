"""The account page and what hangs on it: profile, notifications, sessions, the account's end."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.account import deletion, sessions
from accounts.account.forms import DeleteForm, NotificationsForm, ProfileForm
from accounts.account.overview import overview_of
from accounts.models import User


class SignedInRequest(HttpRequest):
    user: User


@require_safe
@never_cache
@login_required
def account(request: SignedInRequest) -> HttpResponse:
    return _page(request, ProfileForm(instance=request.user), NotificationsForm(instance=request.user))


@require_POST
@login_required
def profile(request: SignedInRequest) -> HttpResponse:
    form = ProfileForm(request.POST, instance=User.objects.get(pk=request.user.pk))
    if not form.is_valid():
        return _page(request, form, NotificationsForm(instance=request.user))
    User.objects.filter(pk=request.user.pk).update(name=form.cleaned_data["name"])
    messages.success(request, "Your name is saved.")
    return redirect("account")


@require_POST
@login_required
def notifications(request: SignedInRequest) -> HttpResponse:
    form = NotificationsForm(request.POST)
    if not form.is_valid():
        return _page(request, ProfileForm(instance=request.user), form)
    wants = form.cleaned_data["wants_quota_emails"]
    User.objects.filter(pk=request.user.pk).update(wants_quota_emails=wants)
    messages.success(
        request, "Saved: mail about quotas is on." if wants else "Saved: mail about quotas is off."
    )
    return redirect("account")


@require_safe
@never_cache
@login_required
def sign_ins(request: SignedInRequest) -> HttpResponse:
    found = sessions.sign_ins(request.user, request.session.session_key)
    return render(request, "accounts/sessions.html", {"sign_ins": found, "now": timezone.now()})


@require_POST
@login_required
def end_sign_in(request: SignedInRequest, pk: int) -> HttpResponse:
    """End one of the account's own. One that has ended is not there, as another account's isn't."""
    if any(each.is_this and each.id == pk for each in sessions.sign_ins(request.user, _this(request))):
        return redirect("account_logout")
    if not sessions.end(request.user, pk):
        raise Http404("The account has no such session.")
    messages.success(request, "Signed out there. Its next request meets the sign-in page.")
    return redirect("account_sessions")


@require_POST
@login_required
def end_other_sign_ins(request: SignedInRequest) -> HttpResponse:
    ended = sessions.end_others(request.user, _this(request))
    messages.success(request, "Signed out everywhere else." if ended else "You were signed in nowhere else.")
    return redirect("account_sessions")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
# The password or a second factor, in the last five minutes.
@reauthentication_required(app="allauth.mfa")  # type: ignore[untyped-decorator]
def delete(request: SignedInRequest) -> HttpResponse:
    form = DeleteForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            deletion.delete_account(request.user)
        except deletion.LastSuperuser:
            pass  # the page says so
        else:
            logout(request)
            return redirect("account_deleted")
    context = {
        "form": form,
        "keys": deletion.keys_that_stop(request.user),
        "is_last_superuser": deletion.is_last_superuser(request.user),
    }
    return render(request, "accounts/delete.html", context)


@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/deleted.html")


def _page(request: SignedInRequest, profile: ProfileForm, notifications: NotificationsForm) -> HttpResponse:
    context = {
        "profile": profile,
        "notifications": notifications,
        "overview": overview_of(request.user),
        "is_last_superuser": deletion.is_last_superuser(request.user),
    }
    return render(request, "accounts/account.html", context)


def _this(request: HttpRequest) -> str:
    """The session of a request that is signed in, which has one."""
    return str(request.session.session_key)
