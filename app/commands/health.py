"""Ask a running service whether it is ready."""

import httpx

from app.commands.trouble import MISUSED, Say, Trouble

PATIENCE = 3.0
"""Seconds to wait for the answer: less than a container's health check allows."""


def check_health(url: str, *, say: Say) -> bool:
    """Whether the service at a URL is ready; says what is not."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/readyz", timeout=PATIENCE)
        checks = answer.json()["checks"]
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Trouble(f"{url!r} is no URL such as http://127.0.0.1:8000.", code=MISUSED) from error
    except httpx.TransportError as error:
        raise Trouble(f"No service answers at {url}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Trouble(f"{url} is not membudget.") from error
    for name, state in checks.items():
        say(f"{name}: {state}")
    return answer.status_code == httpx.codes.OK
