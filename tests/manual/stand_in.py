"""Stands in for programs of the manual's blocks: `stand_in.py NAME ARGUMENT…`, run what can be run, look at the rest.

What needs an engine, a cluster, root or an index of packages is looked at instead: the files that it names are there,
the services, images, extras and options exist, and what it would run inside is run here. It is noted in `$CALLS`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

REPOSITORY = Path(__file__).parents[2]
WAIT_SECONDS = 60.0
EXPORTER = [sys.executable, "-m", "prisma_postgres_exporter"]
IMAGE = re.compile(r"(registry\.example\.com/)?prisma-postgres-exporter(:\d+\.\d+\.\d+)?")


def write(folder: Path) -> None:
    """Write a program for each name, which stands in for it."""
    folder.mkdir()
    for name in PROGRAMS:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {name} "$@"\n')
        path.chmod(0o755)


def root_files() -> Path:
    """What is `/etc`, `/opt` and `/var` to commands that are run as root."""
    return Path(os.environ["ROOT_FILES"])


def refuse(text: str) -> NoReturn:
    """End with what is wrong."""
    sys.exit(f"stand-in: {text}")


def note(name: str, *arguments: str) -> None:
    """Say that this was not run."""
    with Path(os.environ["CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps([name, *arguments]) + "\n")


def become(*command: str) -> NoReturn:
    """Run it in this process's place."""
    sys.stdout.flush()
    os.execvp(command[0], command)


def require_files(*names: str) -> None:
    """They are there."""
    for name in names:
        if not Path(name).exists():
            refuse(f"{name}: there is no such file")


def option(arguments: Sequence[str], *names: str) -> list[str]:
    """Every value of an option, however it is written."""
    given = [arguments[at + 1] for at, word in enumerate(arguments[:-1]) if word in names]
    return given + [word.partition("=")[2] for word in arguments if word.partition("=")[0] in names and "=" in word]


# Run here ---------------------------------------------------------------------------------------
def exporter(arguments: list[str]) -> None:
    """The exporter itself; what would run for ever goes to the background when it listens."""
    if arguments[:1] in (["check"], ["doctor"]):
        arguments = [*arguments, "--listen", "127.0.0.1:0"]  # whatever listens on this machine's 9478
    if arguments[:1] in (["doctor"], ["check"], ["backfill"]):
        # 1: something is missing, as it is in the demo, where a database fails; anything else is wrong
        sys.exit(max(subprocess.run([*EXPORTER, *arguments], check=False).returncode - 1, 0))
    if not arguments or arguments[0] not in ("serve", "demo", "simulator") or "--help" in arguments:
        become(*EXPORTER, *arguments)
    if "--listen" not in arguments and arguments[0] != "simulator":
        arguments = [*arguments, "--listen", f"127.0.0.1:{os.environ['PORT']}"]
    log = Path(f"{os.environ['CALLS']}.log")
    with log.open("w") as output:
        running = subprocess.Popen([*EXPORTER, *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    with Path(os.environ["BACKGROUND"]).open("a") as background:
        background.write(f"{running.pid}\n")
    ends = time.monotonic() + WAIT_SECONDS
    while "listening" not in log.read_text():
        if running.poll() is not None or time.monotonic() > ends:
            refuse(f"{arguments[0]} does not listen:\n{log.read_text()}")
        time.sleep(0.05)


def sudo(arguments: list[str]) -> None:
    """Root: absolute paths lead into a folder of the test."""
    become(*(re.sub(r"(?<![\w.])/(etc|opt|var|run)/", rf"{root_files()}/\1/", word) for word in arguments))


def python3(arguments: list[str]) -> None:
    """Python; an environment is made of the stand-ins, so that nothing has to be installed."""
    if arguments[:2] == ["-m", "venv"]:
        shutil.copytree(os.environ["STAND_INS"], Path(arguments[2]) / "bin", dirs_exist_ok=True)
        return
    if arguments and (REPOSITORY / arguments[0]).exists():
        note("python", arguments[0])
        return
    become(sys.executable, *arguments)


def install(arguments: list[str]) -> None:
    """As it is; whoever reads the page then puts the token into the token's file."""
    done = subprocess.run(["/usr/bin/install", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    target = Path(arguments[-1])
    if target.name.endswith("token"):
        target.chmod(0o600)
        target.write_text(os.environ["A_TOKEN"])


def curl(arguments: list[str]) -> None:
    """As it is, with the password that it asks for."""
    users = option(arguments, "--user")
    given = [f"{word}:{os.environ['A_PASSWORD']}" if word in users else word for word in arguments]
    become("/usr/bin/curl", "-sSf", *given)


def jsonnet(arguments: list[str]) -> None:
    """By the library of the tests."""
    evaluate = "import _jsonnet, sys; print(_jsonnet.evaluate_snippet('it', sys.argv[1]))"
    become(sys.executable, "-c", evaluate, arguments[1])


# Looked at --------------------------------------------------------------------------------------
def pip(arguments: list[str]) -> None:
    """The files and extras that it is to install are there."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    require_files(*option(arguments, "-r"))
    for word in arguments[1:]:
        if extra := re.fullmatch(r"\.\[(.+)\]", word):
            for name in extra[1].split(","):
                if name not in project["optional-dependencies"]:
                    refuse(f"there is no extra {name}")
    note("pip", *arguments[:1])


def pytest(arguments: list[str]) -> None:
    """The files and marks that it is to run are there."""
    options = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    marks = {mark.partition(":")[0] for mark in options["markers"]}
    require_files(*(word for word in arguments if word.startswith("tests")))
    for mark in option(arguments, "-m"):
        if mark not in marks:
            refuse(f"there is no mark {mark}")
    note("pytest")


def promtool(arguments: list[str]) -> None:
    """As it is, but for history: 1,400 blocks of two hours take it minutes."""
    if arguments[:3] == ["tsdb", "create-blocks-from", "openmetrics"]:
        if not Path(arguments[3]).read_text(encoding="utf-8").endswith("# EOF\n"):
            refuse(f"{arguments[3]}: is not whole")
        note("promtool", "tsdb")
        return
    become("/usr/bin/promtool", *arguments)


def docker(arguments: list[str]) -> None:
    """An engine: what runs inside is run here."""
    match arguments:
        case ["exec", "prisma-postgres-exporter", "prisma-postgres-exporter", *inner]:
            become("prisma-postgres-exporter", *inner)
        case ["compose", *rest]:
            compose(rest)
        case ["build", "-f", file, "-t", tag, "."]:
            require_files(file)
            require_image(tag)
            note("docker", "build")
        case ["push", tag]:
            require_image(tag)
            note("docker", "push")
        case ["run", *rest]:
            images = [word for at, word in enumerate(rest) if IMAGE.fullmatch(word) and rest[at - 1] != "--name"]
            require_image(*images[:1])
            for mount in option(rest, "-v"):
                if "/" in mount.split(":")[0]:
                    require_files(mount.split(":")[0])
            note("docker", "run")
        case _:
            refuse(f"docker {' '.join(arguments)}")


def compose(arguments: list[str]) -> None:
    """Compose: its files and services are there."""
    files = option(arguments, "-f")
    require_files(*files)
    services = {name for file in files for name in yaml.safe_load(Path(file).read_text())["services"]}
    words = [word for word in arguments if word not in ("-f", *files)]
    match words:
        case ["up", *flags] if set(flags) <= {"--build", "--wait"}:
            note("docker", "compose up")
        case ["exec", service, "prisma-postgres-exporter", *inner] if service in services:
            become("prisma-postgres-exporter", *inner)
        case _:
            refuse(f"compose {' '.join(words)}")


def kubectl(arguments: list[str]) -> None:
    """A cluster: what it names is in the manifests."""
    there = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in manifests()}
    words = arguments[2:] if arguments[:2] == ["-n", "metrics"] else arguments
    match words:
        case ["exec", target, "--", "prisma-postgres-exporter", *inner] if target in there:
            become("prisma-postgres-exporter", *inner)
        case ["apply", *files]:
            require_files(*option(files, "-f"))
        case ["set", "image", target, image] if target in there and image.startswith("exporter="):
            require_image(image.removeprefix("exporter="))
        case ["port-forward", target, port] if target.replace("/usage-", "/") in there and port == os.environ["PORT"]:
            pass
        case ["create", "namespace", "metrics"] | ["create", "secret", "generic", "prisma-postgres-token", _]:
            pass
        case _:
            refuse(f"kubectl {' '.join(words)}")
    note("kubectl", words[0])


def helm(arguments: list[str]) -> None:
    """Helm: the chart renders with these values."""
    words = [word for word in arguments if word != "--reuse-values"]
    at = next(at for at, word in enumerate(words) if word in ("install", "upgrade"))
    note("helm", words[at])
    if real := shutil.which("helm", path=os.environ["REAL_PATH"]):
        words[at] = "template"
        done = subprocess.run([real, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            refuse(done.stderr)


def systemctl(arguments: list[str]) -> None:
    """An init: the unit is installed."""
    units = [word for word in arguments if word.startswith("prisma")]
    require_files(*(f"{root_files()}/etc/systemd/system/{unit}.service" for unit in units))
    note("systemctl", arguments[0])


def require_image(tag: str = "") -> None:
    """It is the exporter's."""
    if not IMAGE.fullmatch(tag):
        refuse(f"{tag}: no image of ours")


def manifests() -> list[dict[str, Any]]:
    """Every object of the plain manifests."""
    paths = sorted((REPOSITORY / "deploy" / "kubernetes").glob("*.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]


def only_noted(name: str) -> Callable[[list[str]], None]:
    """A program that is not run, whatever its arguments are."""
    return lambda arguments: note(name)


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "prisma-postgres-exporter": exporter,
    "sudo": sudo,
    "python3": python3,
    "python": python3,
    "install": install,
    "curl": curl,
    "jsonnet": jsonnet,
    "pip": pip,
    "pytest": pytest,
    "promtool": promtool,
    "docker": docker,
    "kubectl": kubectl,
    "helm": helm,
    "systemctl": systemctl,
    **{name: only_noted(name) for name in ("chown", "uv", "jb", "npm", "node", "systemd-socket-activate")},
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2:])
