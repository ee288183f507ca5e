"""The files around the code (image, containers, how to report a hole) say what the code does.

No container engine runs here: the files are compared with the supervisor and the README, and what goes into the
image is tried as plain processes.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from algotrendy import secrets
from algotrendy.embedded.valkey import Valkey
from algotrendy.supervisor import processes
from algotrendy.supervisor.child import Spec
from tests.house.test_docs import FIRST_CELL, README, section
from tests.support.packaging_files import (
    ROOT,
    image_environment,
    instructions,
    last_stage,
    let_through,
    only,
    parsed,
    service,
    version,
)

PROCESSES = ("web", "trade", "training", "beat", "feed")
OURS = (*PROCESSES, "prepare")
SERVERS = ("postgres", "valkey")
SECRETS = {*secrets.NAMES, "POSTGRES_PASSWORD", "ALGOTRENDY_METRICS_TOKEN"}
OPTIONS = processes.Options(host="0.0.0.0", port=8000, clean=True, data=Path("/data"))

each_process = pytest.mark.parametrize("name", PROCESSES)


# Reporting a hole


def test_the_version_that_gets_fixes_is_the_one_that_is_here() -> None:
    supported = re.findall(r"^\| ([\d.]+) \| yes \|", (ROOT / "SECURITY.md").read_text(), re.M)
    assert supported == [version()]


def test_every_secret_of_the_desk_is_named_as_one_never_to_be_sent() -> None:
    paragraph = (ROOT / "SECURITY.md").read_text().split("**Never send**")[1].split("\n\n")[0]
    assert [name for name in (*secrets.NAMES, "secrets.json", "DATABASE_URL") if name not in paragraph] == []


# The image


def test_the_image_installs_by_the_start_script_which_asks_for_hashes() -> None:
    assert ("RUN", "./mem packages up") in instructions()
    script = (ROOT / "mem").read_text()
    assert re.search(r"pip install .*\\\n\s+--require-hashes", script)
    assert "npm ci" in script


def test_everything_that_the_image_copies_exists() -> None:
    stages = {rest.split(" AS ")[1] for word, rest in instructions() if word == "FROM" and " AS " in rest}
    for rest in (rest for word, rest in instructions() if word == "COPY"):
        *sources, _ = rest.split()
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in stages
        else:
            assert [name for name in sources if name != "." and not (ROOT / name).exists()] == []
            assert set(sources) - {"."} <= let_through()


def test_every_app_of_ours_is_in_the_image_and_nothing_that_is_not_there() -> None:
    roots = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    assert {name for name in roots if (ROOT / name).is_dir()} <= let_through()
    assert [name for name in sorted(let_through()) if not (ROOT / name).exists()] == []


def test_neither_secrets_nor_data_nor_history_get_into_the_image() -> None:
    assert let_through() & {".env", ".env.example", ".git", ".venv", "node_modules", "tests", "var", "."} == set()
    assert not any("*" in name for name in let_through())
    assert [rest for word, rest in instructions() if word == "ARG"] == []
    assert set(image_environment()) & (SECRETS | {"DATABASE_URL", "REDIS_URL"}) == set()


def test_what_gets_into_the_image_is_enough_to_run_a_command(tmp_path: Path) -> None:
    desk, data = tmp_path / "desk", tmp_path / "data"
    for name in let_through():
        source, target = ROOT / name, desk / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    (desk / "node_modules").symlink_to(ROOT / "node_modules")
    environment = image_environment() | {"PATH": os.environ["PATH"], "ALGOTRENDY_DATA": str(data)}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_desk_in_the_image_is_not_root_and_does_not_own_its_code() -> None:
    words = [word for word, _ in last_stage()]
    user = only("USER")
    assert user not in ("root", "0")
    assert words.index("USER") > max(at for at, word in enumerate(words) if word in ("COPY", "RUN"))
    assert not any("--chown" in rest for word, rest in last_stage() if word == "COPY")
    (making,) = [rest for word, rest in last_stage() if word == "RUN" and "useradd" in rest]
    assert f"install -d -m 0700 -o {user} -g {user} {image_environment()['ALGOTRENDY_DATA']} " in making


def test_images_are_named_without_a_host() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    images += [each["image"] for each in parsed("compose.yaml")["services"].values()]
    assert [image for image in images if "/" in image and re.search(r"[.:]", image.split("/")[0])] == []


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A server that answers everything with `status`; yields its port and the (path, Host) it was asked for."""
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def health(port: int, **environment: str) -> int:
    """The exit code of the image's check, made of a web on `port`."""
    program, *arguments = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    assert program == json.loads(only("ENTRYPOINT"))[0]
    assert "127.0.0.1:8000/" in arguments[1]
    arguments[1] = arguments[1].replace("127.0.0.1:8000/", f"127.0.0.1:{port}/")
    command, environment = [sys.executable, *arguments], environment | {"PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (None, "localhost"),
        ("", "localhost"),
        ("desk.example.com,127.0.0.1", "desk.example.com"),
        (".example.com", "example.com"),
        ("*", "localhost"),
    ],
)
def test_a_web_that_answers_is_healthy_and_is_asked_by_a_name_it_knows(hosts: str | None, name: str) -> None:
    with answering(200) as (port, asked):
        assert health(port, **({} if hosts is None else {"ALGOTRENDY_HOSTS": hosts})) == 0
    assert asked == [("/healthz", name)]


def test_a_web_that_refuses_or_is_not_there_is_not_healthy() -> None:
    with answering(503) as (port, _):
        assert health(port) != 0
    assert health(port) != 0


# The containers


@cache
def supervised() -> dict[str, Spec]:
    """How `./mem up` runs the desk's processes, by name."""
    return {spec.name: spec for spec in processes.desk(OPTIONS, 3)}


def added_by_the_supervisor(name: str) -> dict[str, str]:
    """What it puts into the environment of a process, less what is for its own case: port, folder, being root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {})
        environment = processes.environment(OPTIONS, name)
    own = ("ALGOTRENDY_URL", "ALGOTRENDY_DATA", "PYTHONWARNINGS")
    return {variable: value for variable, value in environment.items() if variable not in own}


def as_of_the_supervisor(command: list[str]) -> list[str]:
    """A command of compose.yaml as the supervisor would give it: with its defaults, and web on a socket."""
    text = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", argument) for argument in command]
    if text[:2] == ["manage.py", "web"]:
        text[2:] = ["--fd", "3"]
    return [processes.MANAGE if argument == "manage.py" else argument for argument in text]


def test_there_is_a_container_for_each_process_and_server_and_one_that_prepares() -> None:
    assert set(supervised()) == set(PROCESSES)
    assert set(parsed("compose.yaml")["services"]) == {*OURS, *SERVERS}


@each_process
def test_a_container_runs_what_the_supervisor_runs(name: str) -> None:
    python, *arguments = supervised()[name].argv
    assert python == sys.executable
    assert as_of_the_supervisor(service(name)["command"]) == arguments


def test_the_image_alone_runs_web_as_its_container_does() -> None:
    assert json.loads(only("CMD")) == service("web")["command"]
    assert service("web")["command"][-4:] == ["--host", "0.0.0.0", "--port", "8000"]
    assert only("EXPOSE") == "8000"


@each_process
def test_a_container_has_the_environment_that_the_supervisor_gives(name: str) -> None:
    environment = image_environment() | service(name)["environment"]
    assert added_by_the_supervisor(name).items() <= environment.items()


@each_process
def test_a_container_has_as_long_to_end_as_under_the_supervisor(name: str) -> None:
    assert service(name)["stop_grace_period"] == f"{supervised()[name].stop_seconds:g}s"


@each_process
def test_a_container_starts_when_the_servers_answer_and_the_tables_are_made(name: str) -> None:
    conditions = {other: each["condition"] for other, each in service(name)["depends_on"].items()}
    assert conditions == {
        "postgres": "service_healthy",
        "valkey": "service_healthy",
        "prepare": "service_completed_successfully",
    }


def test_the_tables_are_made_once_the_servers_answer() -> None:
    conditions = {other: each["condition"] for other, each in service("prepare")["depends_on"].items()}
    assert conditions == dict.fromkeys(SERVERS, "service_healthy")
    assert all("test" in service(name)["healthcheck"] for name in SERVERS)
    assert service("prepare")["restart"] == "no"


def test_only_web_is_asked_for_its_health_by_http() -> None:
    disabled = {name for name in OURS if service(name).get("healthcheck") == {"disable": True}}
    assert disabled == {*OURS} - {"web"}


def test_the_link_that_signs_in_does_not_get_into_the_log_of_a_container() -> None:
    shell, option, line = service("prepare")["entrypoint"]
    assert (shell, option) == ("sh", "-c")
    assert line.endswith(" manage.py prepare --clean >/dev/null")


def test_every_command_that_the_containers_name_exists() -> None:
    text = (ROOT / "Dockerfile").read_text() + (ROOT / "compose.yaml").read_text()
    named = re.findall(r"manage\.py[\", ]+([a-z_]+)", text) + re.findall(r"exec \w+ \./mem ([a-z_]+)", text)
    assert {"web", "run_feeds", "prepare", "sign_in_link"} <= set(named)
    assert set(named) - set(get_commands()) == set()


def test_every_variable_of_the_containers_is_a_setting_or_set_by_the_supervisor() -> None:
    of_others = {"PYTHONDONTWRITEBYTECODE", "POSTGRES_PASSWORD"}
    known = {*FIRST_CELL.findall(section(README, "Settings")), *added_by_the_supervisor("web"), *of_others}
    given = set(image_environment()).union(*(service(name)["environment"] for name in OURS))
    given |= set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    given |= set(example_environment())
    assert given - known == set()
    assert all(name.startswith("POSTGRES_") for name in service("postgres")["environment"])


def example_environment() -> dict[str, str]:
    """What .env.example names, commented out or not, with the values it suggests."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))


def test_the_example_of_the_environment_has_no_secret_in_it_and_the_real_one_is_not_committed() -> None:
    assert {name: value for name, value in example_environment().items() if name in SECRETS and value} == {}
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_whoever_starts_the_containers_without_a_password_is_told() -> None:
    uses = re.findall(r"\$\{POSTGRES_PASSWORD[^}]*\}", (ROOT / "compose.yaml").read_text())
    assert set(uses) == {"${POSTGRES_PASSWORD:?set it in .env}"}


def test_nothing_but_web_is_reachable_and_that_from_this_machine_only() -> None:
    published = {
        name: each["ports"] for name, each in parsed("compose.yaml")["services"].items() if "ports" in each
    }
    assert published == {"web": ["127.0.0.1:8000:8000"]}
    assert "network_mode" not in (ROOT / "compose.yaml").read_text()


def test_what_must_outlive_a_container_is_on_a_volume_that_is_declared() -> None:
    declared = set(parsed("compose.yaml")["volumes"])
    mounted = {name: each["volumes"] for name, each in parsed("compose.yaml")["services"].items()}
    assert {volume.partition(":")[0] for volumes in mounted.values() for volume in volumes} == declared
    data = image_environment()["ALGOTRENDY_DATA"]
    assert all(mounted[name] == [f"desk:{data}"] for name in OURS)
    assert all(service(name)["environment"]["ALGOTRENDY_DATA"] == data for name in OURS)


def test_valkey_in_a_container_keeps_what_the_embedded_one_keeps(tmp_path: Path) -> None:
    embedded = Valkey(tmp_path).launch().argv
    options = service("valkey")["command"][1:]
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert embedded[embedded.index(option) + 1] == value


def test_the_image_is_named_after_the_version() -> None:
    assert {service(name)["image"] for name in OURS} == {f"algotrendy:{version()}"}
