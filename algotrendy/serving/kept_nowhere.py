"""Answers that come before Django's middleware, as to a request that it can't build: kept by nobody either."""

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

NO_STORE = (b"cache-control", b"no-store, private")


def kept_nowhere(application: ASGI3Application) -> ASGI3Application:
    """Return `application` with `Cache-Control: no-store` on each answer that says nothing of it."""

    async def guarded(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def marked(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                headers = list(event["headers"])
                if not any(name.lower() == NO_STORE[0] for name, _ in headers):
                    event["headers"] = [*headers, NO_STORE]
            await send(event)

        await application(scope, receive, marked)

    return guarded
