"""Hold the container and the composition to their promises, without an engine to run them."""

import re
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests.data import REPOSITORY

ENGINE_WORDS = ("FROM", "RUN", "COPY", "ENV", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD")
PINNED_IMAGE = re.compile(r"^[a-z0-9./-]+:\d+(\.\d+)*[a-z0-9.-]*$")
REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SETTINGS = {f"MEMBUDGET_{name.upper()}" for name in Settings.model_fields}


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile: its word and the rest, continuations joined."""
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in pairs]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def last(word: str) -> str:
    """The value of an instruction in the final stage."""
    return [rest for name, rest in stages()[-1] if name == word][-1]


def test_the_dockerfile_is_understood() -> None:
    words = {word for word, _ in instructions()}
    assert set(ENGINE_WORDS) <= words


def test_the_image_is_made_in_stages() -> None:
    assert len(stages()) >= 2
    assert any(word == "COPY" and "--from=build" in rest for word, rest in stages()[-1])


def test_the_build_installs_by_hash() -> None:
    installs = [rest for _, rest in instructions() if re.search(r"pip\b.*\binstall\b", rest)]
    assert installs
    assert all("--require-hashes" in one and "requirements.lock" in one for one in installs)


def test_the_service_is_not_root() -> None:
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user), "a number: orchestrators can check it"


def test_the_health_check_needs_no_tool() -> None:
    check = last("HEALTHCHECK")
    assert "python" in check
    assert "/healthz" in check
    assert not re.search(r"\b(curl|wget)\b", check)
    assert not any(re.search(r"\b(curl|wget)\b", rest) for _, rest in instructions())


def test_images_are_pinned() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    images += [service["image"] for service in SERVICES.values()]
    assert all(PINNED_IMAGE.match(image) for image in images), images
    assert not any("latest" in image for image in images)


def test_what_is_copied_exists_and_is_sent_to_the_build() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert {"app", "migrations", "alembic.ini", "requirements.lock"} <= set(sources)
    assert all((REPOSITORY / source).exists() for source in sources)
    assert all(f"!{source}" in ignored for source in sources)


def test_the_image_names_only_settings_that_exist() -> None:
    named = {
        name
        for word, rest in instructions()
        if word == "ENV"
        for name in re.findall(r"\b(MEMBUDGET_\w+)=", rest)
    }
    assert named
    assert named <= SETTINGS


def test_the_composition_is_service_postgres_and_redis() -> None:
    assert set(SERVICES) == {"membudget", "postgres", "redis"}
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis"))
    waits = SERVICES["membudget"]["depends_on"]
    assert {name: wait["condition"] for name, wait in waits.items()} == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }


def test_the_service_runs_on_a_read_only_root_without_privileges() -> None:
    service = SERVICES["membudget"]
    assert service["read_only"] is True
    assert any(mount.split(":")[0] == "/tmp" for mount in service["tmpfs"])
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


def test_the_first_key_comes_from_the_environment() -> None:
    key = SERVICES["membudget"]["environment"]["MEMBUDGET_ADMIN_KEY"]
    assert REFERENCE.fullmatch(key), key
    assert ":?" in key, "without a key the composition does not start"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_secrets_are_not_in_the_file(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"KEY|PASSWORD|SECRET|TOKEN", variable):
            reference = REFERENCE.fullmatch(str(value))
            assert reference, variable
            assert reference["rest"].startswith(":?"), f"{variable} must have no default"
    passwords = re.findall(r"://[^:/\s]+:([^@\s]+)@", str(SERVICES[name]))
    assert all(REFERENCE.fullmatch(password) for password in passwords)


def test_only_the_front_door_is_published_and_only_here() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert set(published) == {"membudget"}
    assert all(port.startswith("127.0.0.1:") for port in published["membudget"])


def test_every_named_volume_is_declared() -> None:
    named = {
        mount.split(":")[0]
        for service in SERVICES.values()
        for mount in service.get("volumes", [])
        if not mount.startswith((".", "/"))
    }
    assert named == set(COMPOSE["volumes"])
