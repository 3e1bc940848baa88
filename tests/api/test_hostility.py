"""Prove that requests that mean harm get a 4xx that repeats nothing they sent."""

import pytest

from benchmarks.hostility import MARK, requests
from tests.running import Running

COUNT = 300


@pytest.mark.parametrize("seed", range(2))
async def test_hostile_requests_are_no_faults(service: Running, seed: int) -> None:
    client = service.client
    for one in requests(service.app.openapi(), count=COUNT, seed=seed):
        url = client.base_url.copy_with(raw_path=one.target)
        response = await client.request(one.method, url, headers=one.headers, content=one.body)
        assert response.status_code < 500, (one, response.text)
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            problem = response.json()
            assert MARK not in str({**problem, "instance": ""}), (one, problem)
    assert (await client.get("/readyz")).status_code == 200


async def test_the_same_seed_makes_the_same_requests(light_service: Running) -> None:
    document = light_service.app.openapi()
    first, again = (list(requests(document, count=300, seed=3)) for _ in range(2))
    assert [one.target for one in first] == [one.target for one in again]
    assert {one.route for one in first} >= {"/allocate", "/usage", "/keys", "/memories/{id}"}
