"""The compose file and the image, as far as they can be checked without a docker engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
ENV_FILE = ROOT / "docker" / ".env.example"
PROFILES = [(), ("cli",), ("test",), ("cli", "test")]


def compose_command() -> list[str]:
    """Return how compose is called here: as docker's plugin, or as the older program; skip where there is neither."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    older = shutil.which("docker-compose")
    if older is None:
        pytest.skip("neither the compose plugin of the docker client nor docker-compose is installed")
    return [older]


def docker_compose_config(*profiles: str, password: str = "pass$word") -> subprocess.CompletedProcess[str]:
    """Have docker compose parse, interpolate and normalise the file."""
    # The example has no password; an .env of the developer's own must not decide what is tested.
    command = [*compose_command(), "--env-file", str(ENV_FILE), "--file", str(COMPOSE_FILE)]
    for profile in profiles:
        command += ["--profile", profile]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ}
    if password:
        environment["POSTGRES_PASSWORD"] = password
    command += ["config"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(params=["as written", "as docker compose reads it"])
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "as written":
        written: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
        return written
    if len(compose_command()) == 1:
        pytest.skip("docker-compose 1 writes a form of its own; that it accepts the file is tested")
    config = docker_compose_config("cli", "test")
    assert config.returncode == 0, config.stderr
    resolved: dict[str, Any] = yaml.safe_load(config.stdout)["services"]
    return resolved


@pytest.mark.parametrize("profiles", PROFILES, ids=lambda profiles: "+".join(profiles) or "default")
def test_docker_compose_accepts_every_profile(profiles: tuple[str, ...]) -> None:
    config = docker_compose_config(*profiles)
    assert config.returncode == 0, config.stderr
    expected = {"db", "migrate"} | ({"cli"} & set(profiles)) | ({"test-db"} if "test" in profiles else set())
    services = yaml.safe_load(config.stdout)["services"].items()
    # docker-compose 1 shows the services of other profiles as well.
    assert {
        name for name, service in services if "profiles" not in service or set(service["profiles"]) & set(profiles)
    } == expected


def test_docker_compose_refuses_to_start_without_a_password() -> None:
    config = docker_compose_config(password="")
    assert config.returncode != 0
    assert "POSTGRES_PASSWORD" in config.stderr


def test_no_password_is_written_down() -> None:
    text = COMPOSE_FILE.read_text()
    assert set(re.findall(r"\$\{POSTGRES_PASSWORD(.)", text)) == {":"}, "every use must be ${POSTGRES_PASSWORD:?...}"
    assert set(re.findall(r"\$\{POSTGRES_PASSWORD:(.)", text)) == {"?"}
    assert re.search(r"^POSTGRES_PASSWORD=$", (ROOT / "docker/.env.example").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["db", "test-db"])
def test_databases_are_healthy_when_they_answer_over_tcp(services: dict[str, Any], name: str) -> None:
    (check,) = services[name]["healthcheck"]["test"][1:]
    assert services[name]["healthcheck"]["test"][0] == "CMD-SHELL"
    assert check.startswith("pg_isready ")
    assert "--host=127.0.0.1" in check


@pytest.mark.parametrize("name", ["db", "test-db"])
def test_databases_listen_on_the_loopback_address_only(services: dict[str, Any], name: str) -> None:
    (port,) = services[name]["ports"]
    if isinstance(port, str):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:5432", port)
    else:
        assert (port["target"], port["host_ip"]) == (5432, "127.0.0.1")


def test_data_are_kept_in_a_named_volume_where_postgresql_18_puts_them(services: dict[str, Any]) -> None:
    (volume,) = services["db"]["volumes"]
    assert (volume["type"], volume["source"], volume["target"]) == ("volume", "data", "/var/lib/postgresql")


def test_migrations_run_once_and_before_the_command_line(services: dict[str, Any]) -> None:
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"
    assert services["cli"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_the_test_database_never_waits_for_a_disk(services: dict[str, Any]) -> None:
    assert services["test-db"]["profiles"] == ["test"]
    assert services["test-db"]["tmpfs"] == ["/var/lib/postgresql"]
    assert "volumes" not in services["test-db"]
    assert {"fsync=off", "synchronous_commit=off", "full_page_writes=off"} <= set(services["test-db"]["command"])
    assert not {"fsync=off", "full_page_writes=off"} & set(services["db"]["command"])


def test_the_example_environment_shows_every_variable_and_its_default() -> None:
    used = dict(re.findall(r"\$\{(\w+)(?::?-([^}]*)|:\?[^}]*)\}", COMPOSE_FILE.read_text()))
    shown = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / "docker/.env.example").read_text(), re.MULTILINE))
    assert shown == used


def test_the_image_copies_only_what_dockerignore_lets_through() -> None:
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    copied = {
        name for names in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE) for name in names.split()
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert copied == {line.removeprefix("!") for line in ignore if line.startswith("!")}


def test_the_image_does_not_run_as_root() -> None:
    final_stage = (ROOT / "docker/Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (\w+)$", final_stage, re.MULTILINE) == ["vectordb"]
