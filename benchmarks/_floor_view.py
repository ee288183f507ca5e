"""The floor of accepting: a bare async Django view that inserts one row, served like the desk's own web process.

`python -m benchmarks._floor_view --port N` with the desk's data folder in the environment: the same database, the
same connection pool, the same uvicorn settings; no middleware, no templates, nothing else.
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.handlers.asgi import ASGIHandler

TABLE = "bench_floor"
CREATE = f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigserial PRIMARY KEY, body bytea NOT NULL, received_at timestamptz NOT NULL)"  # noqa: E501


def application() -> "ASGIHandler":
    """Return a minimal ASGI Django application with one view."""
    from django.conf import settings

    settings.configure(
        DATABASES=_databases(),
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        SECRET_KEY="floor",
        USE_TZ=True,
        MIDDLEWARE=[],
    )
    import django

    django.setup()
    from django.core.asgi import get_asgi_application

    _define_view()
    return get_asgi_application()


def _databases() -> object:
    """Return DATABASES as the desk's web process has them."""
    from algotrendy import settings as desk
    from algotrendy.database.pool import pool_connections

    pool_connections(desk.DATABASES["default"])
    return desk.DATABASES


urlpatterns: list[object] = []


def _define_view() -> None:
    """Define the model and its view, which can only be done once Django is set up."""
    from django.db import models
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path
    from django.utils import timezone
    from django.views.decorators.csrf import csrf_exempt

    class Row(models.Model):
        id = models.BigAutoField(primary_key=True)
        body = models.BinaryField()
        received_at = models.DateTimeField()

        class Meta:
            app_label = "floor"
            db_table = TABLE

        def __str__(self) -> str:
            return str(self.pk)

    @csrf_exempt
    async def accept(request: HttpRequest) -> HttpResponse:
        row = await Row._default_manager.acreate(body=request.body, received_at=timezone.now())
        answer = JsonResponse({"alert": row.pk}, status=202)
        answer["Content-Length"] = str(len(answer.content))  # else it would be sent in chunks, which costs more
        return answer

    urlpatterns.append(path("accept", accept))


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    from algotrendy.serving.server import serve

    serve(application(), host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
