"""Redis shares texts; what it lacks, damages or takes with it costs a moment and nothing else."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from app.gateways.hotstore import HotStore, key_of, pack, unpack
from tests.data import absent
from tests.running import Running, running

PATIENCE = 20
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


class Server:
    """A Redis server of the test's own."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as spare:
            spare.bind(("127.0.0.1", 0))
            self.port = spare.getsockname()[1]
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(
            [*words, "--appendonly", "no", "--dir", self._folder], stdout=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> "Redis":
        return Redis(port=self.port)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


def wait_for(happens: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("redis-server") is None:
        absent("redis-server is not installed")
    found = Server(str(tmp_path_factory.mktemp("redis")))
    found.start()
    yield found
    found.kill()


@contextmanager
def opened(url: str) -> Iterator[HotStore]:
    store = HotStore(url)
    try:
        yield store
    finally:
        store.close()


@given(text=texts, words=texts)
def test_what_was_packed_is_unpacked(text: str, words: str) -> None:
    key = key_of("w", b"digest")
    assert unpack(key, pack(key, text, words)) == (text, words)


@given(text=texts, at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_what_was_damaged_is_not_there(text: str, at: int, bit: int) -> None:
    key = key_of("w", b"digest")
    value = bytearray(pack(key, text, text))
    value[at % len(value)] ^= 1 << bit
    assert unpack(key, bytes(value)) is None
    assert unpack(key_of("other", b"digest"), pack(key, text, text)) is None


def test_replicas_share_texts_and_workspaces_do_not(server: Server) -> None:
    kept = {bytes([number]): (f"text ☃ {number}", "words") for number in range(250)}
    with opened(server.url) as one, opened(server.url) as two:
        wait_for(lambda: one.trouble is None and two.trouble is None)
        one.put_many("w", kept)
        assert two.get_many("w", [*kept, b"unknown"]) == kept
        assert two.get_many("v", kept) == {}


def test_a_value_of_somebody_else_is_not_there(server: Server) -> None:
    with opened(server.url) as store:
        wait_for(lambda: store.trouble is None)
        store.put_many("w", {b"1": ("text", "words"), b"2": ("other", "words")})
        client = server.client()
        client.set(key_of("w", b"1"), b"somebody else's")
        client.lpush(key_of("w", b"3"), b"no text at all")
        assert store.get_many("w", [b"1", b"2", b"3"]) == {b"2": ("other", "words")}
        client.close()


def test_a_redis_that_goes_away_is_left_alone_until_it_is_back(server: Server) -> None:
    with opened(server.url) as store:
        wait_for(lambda: store.trouble is None)
        server.kill()
        assert store.get_many("w", [b"1"]) == {}
        store.put_many("w", {b"1": ("text", "words")})
        assert store.trouble is not None
        server.start()
        wait_for(lambda: store.trouble is None)
        store.put_many("w", {b"1": ("text", "words")})
        assert store.get_many("w", [b"1"]) == {b"1": ("text", "words")}


async def search(service: Running, number: int) -> list[str]:
    body = {"query": f"what is thing {number} about?", "limit": 50}
    response = await service.client.post("/memories/search", json=body)
    assert response.status_code == httpx.codes.OK, response.text
    return [one["text"] for one in response.json()["items"]]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_a_search_is_the_same_with_and_without_redis(
    sqlite_url: str, server: Server, end: int
) -> None:
    memories = [{"text": f"thing {number} is about {number * 7}"} for number in range(40)]
    async with running(sqlite_url) as plain:
        await plain.client.post("/memories", json=memories)
        expected = [await search(plain, number) for number in range(10)]

    for is_first in (True, False):  # the second time what the first has left there is used
        async with running(sqlite_url, redis_url=server.url) as service:
            shared = service.house.texts.shared
            wait_for(lambda shared=shared: shared.trouble is None)
            client = server.client()
            before = client.info("stats")["keyspace_hits"]
            assert [await search(service, number) for number in range(10)] == expected
            assert (client.info("stats")["keyspace_hits"] > before) is not is_first
            client.close()

    async with running(sqlite_url, redis_url=server.url) as service:
        shared = service.house.texts.shared
        wait_for(lambda: shared.trouble is None)
        server.send(end)
        assert [await search(service, number) for number in range(10)] == expected
        ready = await service.client.get("/readyz")
        assert ready.status_code == httpx.codes.OK
        assert "redis" in ready.json()["checks"]


async def test_a_redis_that_was_never_there_hurts_nothing(sqlite_url: str) -> None:
    async with running(sqlite_url, redis_url="redis://127.0.0.1:1/0") as service:
        await service.client.post("/memories", json={"text": "thing 1"})
        assert await search(service, 1) == ["thing 1"]
