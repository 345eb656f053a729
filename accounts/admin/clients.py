"""The services that people may sign in to with their account here (OpenID Connect clients)."""

from collections.abc import Sequence
from typing import Any

import allauth.idp.oidc.admin  # noqa: F401  (registers what we put ours in the place of)
from allauth.idp.oidc.models import Client, Token
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.action_page import ReasonForm, action_page, is_confirmed
from accounts.admin.audited import AuditedAdmin, person
from accounts.admin.client_form import ClientForm
from accounts.identity import clients

admin.site.unregister(Client)
# Digests of what services were given: nothing to read, and nothing that a person should write.
admin.site.unregister(Token)


@admin.register(Client)
class ClientAdmin(AuditedAdmin[Client]):
    form = ClientForm
    added = "created"
    list_display = ("name", "id", "type", "skip_consent", "created_at")
    list_filter = ("type", "skip_consent")
    search_fields = ("name", "id")
    ordering = ("name", "id")
    actions: Sequence[Any] = ["replace_secret"]

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        known = ("id", "discovery", "created_at") if obj else ()
        return [
            (None, {"fields": ("name", "type", *known)}),
            ("Addresses", {"fields": ("redirect_uris", "post_logout_redirect_uris")}),
            ("Access", {"fields": ("scopes", "stays", "skip_consent")}),
            *self.reason_fieldset(request, obj),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        """A service stays what it is: one that could keep no secret has none worth keeping."""
        return ("type", "id", "discovery", "created_at") if obj else ()

    @admin.display(description="discovery address")
    def discovery(self, client: Client) -> str:
        return f"{settings.BASE_URL}/.well-known/openid-configuration"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """In words: a service has tokens by the thousand, each of which Django would list."""
        words = [f"{client.name}: nobody can sign in to it any more; its tokens are void" for client in objs]
        counted = {"services": len(words), "tokens": Token.objects.filter(client__in=objs).count()}
        return words, counted, set(), []

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if not change:
            obj.pk = clients.new_id(obj.name)
            request.issued_text = clients.give_secret(obj)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Client, post_url_continue: str | None = None
    ) -> HttpResponse:
        secret = request.issued_text if obj.type == Client.Type.CONFIDENTIAL else None  # type: ignore[attr-defined]
        return self._issued(request, obj, secret)

    @admin.action(description="Replace the secret", permissions=["change"])
    def replace_secret(self, request: HttpRequest, queryset: QuerySet[Client]) -> HttpResponse | None:
        chosen = list(queryset.filter(type=Client.Type.CONFIDENTIAL)[:2])
        if len(chosen) != 1 or queryset.count() != 1:
            self.message_user(request, "Choose one service, of the confidential ones.", messages.WARNING)
            return None
        (client,) = chosen
        form = ReasonForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return action_page(
                self,
                request,
                action="replace_secret",
                title="Replace the secret",
                consequence="The service's present secret is refused from now on: nobody can sign in to it "
                "until it has the new one. Nobody loses access that it has.",
                button="Replace",
                rows=[(client.pk, client.name)],
                form=form,
            )
        reason = form.cleaned_data["reason"]
        secret = clients.replace_secret(client, by=person(request), reason=reason)
        self.log_change(request, client, f"Replaced the secret: {reason}")
        return self._issued(request, client, secret)

    def _issued(self, request: HttpRequest, client: Client, secret: str | None) -> HttpResponse:
        """What the service needs to know; its secret this once. A message would keep it in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"For {client.name}",
            "client": client,
            "secret": secret,
            "discovery": self.discovery(client),
            "opts": self.opts,
        }
        response = TemplateResponse(request, "idp/admin/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response
