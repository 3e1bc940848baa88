"""Send thousands of hostile requests to every route; count the answers, and what they repeat."""

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path

import httpx
from hostility import MARK, Request, requests
from servers import service, workplace

KEY = "the-key-of-this-benchmark"
AT_ONCE = 12


async def ask(client: httpx.AsyncClient, one: Request) -> tuple[int, str]:
    """Status of an answer and its text but for the path; 0 where the service closed."""
    url = client.base_url.copy_with(raw_path=one.target)
    headers = [("authorization", f"Bearer {KEY}".encode()), *one.headers]
    try:
        response = await client.request(one.method, url, headers=headers, content=one.body)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return 0, ""
    told = response.text
    if response.headers.get("content-type", "").endswith("problem+json"):
        told = str({name: v for name, v in response.json().items() if name != "instance"})
    return response.status_code, told


async def run(url: str, *, count: int, seed: int) -> int:
    """Send, print, and count what must not be: faults and echoes."""
    counts: Counter[int] = Counter()
    bad: list[str] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        key = {"authorization": f"Bearer {KEY}"}
        document = (await client.get("/openapi.json", headers=key)).json()
        waiting = iter(requests(document, count=count, seed=seed))

        async def work() -> None:
            for one in waiting:
                status, told = await ask(client, one)
                counts[status] += 1
                if status >= 500 or (status >= 400 and MARK in told):
                    sent = f"{one.method} {one.target[:200]!r} {(one.body or b'')[:300]!r}"
                    bad.append(f"{status} {sent}: {told[:300]}")

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        alive = await client.get("/readyz")
    faults = sum(n for status, n in counts.items() if status >= 500)
    for line in bad[:20]:
        print(line)
    print(f"{sum(counts.values()):,} requests, seed {seed}: {dict(sorted(counts.items()))}")
    echoes = len(bad) - faults
    print(f"5xx: {faults}; echoes of what was sent: {echoes}; /readyz: {alive.status_code}")
    return len(bad) + (alive.status_code != 200)


def main() -> int:
    """0 if nothing failed and nothing was repeated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--database", help="another than a SQLite file of its own")
    given = parser.parse_args()
    with workplace(given.folder) as place:
        database = given.database or f"sqlite:///{place}/hostile.db"
        with service(database, place, MEMBUDGET_ADMIN_KEY=KEY) as membudget:
            url, before = f"http://127.0.0.1:{membudget.port}", membudget.rss_mb()
            wrong = asyncio.run(run(url, count=given.requests, seed=given.seed))
            print(
                f"memory of the service: {before:.0f} MB before, {membudget.rss_mb():.0f} MB after"
            )
            return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
