"""A guarded API of a few answers, for the guard's tests."""

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def convert(request: HttpRequest) -> HttpResponse:
    if "broken" in request.GET:
        raise RuntimeError("broken on purpose")
    if "refused" in request.GET:
        request.admission.refused_as = request.GET["refused"]
        return JsonResponse({}, status=429, headers={"Retry-After": "5"})
    if "streamed" in request.GET:
        return StreamingHttpResponse(iter([b"in ", b"parts"]))
    return JsonResponse({"subject": request.subject.id})


def any_job(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"subject": request.subject.id})


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


urlpatterns = [
    path("api/v1/convert", convert),
    path("convert", convert),
    re_path(r"^api/v1/(?:jobs|downloads)/", any_job),
    path("page", page),
]
