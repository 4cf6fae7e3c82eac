"""A receiver as Starlette makes it: the HMAC in constant time, then the JSON."""

import hashlib
import hmac
import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ["SECRET"].encode()
HEADER = os.environ["HEADER"]


def answer(status: int, text: bytes) -> Response:
    return Response(text, status_code=status, media_type="application/json")


async def receive(request: Request) -> Response:
    body = await request.body()
    computed = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(computed, request.headers.get(HEADER, "")):
        return answer(401, b"{}")
    try:
        event = json.loads(body)
        event["eventId"], event["eventType"]
    except (ValueError, TypeError, KeyError):
        return answer(400, b"{}")
    return answer(200, b'{"status":"accepted"}')


app = Starlette(routes=[Route(os.environ["ROUTE"], receive, methods=["POST"])])
