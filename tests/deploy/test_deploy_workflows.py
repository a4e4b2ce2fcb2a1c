"""The workflows: well formed, every action by its commit, no right that is not used, and CI is `.ci/run`."""

from __future__ import annotations

import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import run_tool

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
OF_OTHERS = re.compile(r"\$\{\{[^}]*(?:github\.event|github\.head_ref|inputs\.)")
RIGHTS = {
    # what a job may write, and what for
    "packages": ("image", "chart"),
    "id-token": ("image", "chart", "pypi", "github"),
    "attestations": ("image", "github"),
    "contents": ("github",),
}

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def loaded(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return workflow


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]


def test_there_is_one_to_test_and_one_to_release() -> None:
    assert [path.name for path in WORKFLOWS] == ["release.yml", "test.yml"]


@each_workflow
def test_it_is_a_workflow(path: Path) -> None:
    done = run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))
    assert done.returncode == 0, done.stdout


@each_workflow
def test_every_action_is_pinned_by_its_commit_with_its_version_beside_it(path: Path) -> None:
    uses = [
        line.strip().removeprefix("- ") for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line
    ]
    assert uses
    assert [line for line in uses if not PINNED.match(line) and line != "uses: ./.github/workflows/test.yml"] == []


def test_an_action_has_one_version_everywhere() -> None:
    found = {use for path in WORKFLOWS for use in re.findall(r"uses: (\S+@.*)", path.read_text(encoding="utf-8"))}
    assert len(found) == len({use.split("@")[0] for use in found})


@each_workflow
def test_nothing_is_allowed_but_what_a_job_asks_for(path: Path) -> None:
    workflow = loaded(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        for right, level in job["permissions"].items():
            assert level in ("read", "write")
            assert level == "read" or name in RIGHTS[right], f"{name} may write {right}"


@each_workflow
def test_no_step_runs_what_somebody_else_wrote_or_keeps_the_token(path: Path) -> None:
    for step in steps(loaded(path)):
        assert not OF_OTHERS.search(step.get("run", "")), step
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_every_job_ends(path: Path) -> None:
    assert all("timeout-minutes" in job or "uses" in job for job in loaded(path)["jobs"].values())


def test_the_test_is_the_one_that_everyone_runs() -> None:
    runs = [
        step["run"] for step in loaded(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["steps"] if "run" in step
    ]
    assert runs[-1] == "bash .ci/run"
    assert ".ci/build" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_nothing_is_published_that_was_not_tested_and_built_before() -> None:
    jobs = loaded(ROOT / ".github/workflows/release.yml")["jobs"]

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct))

    assert jobs["approval"]["environment"] == "release"
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert writing == {"image", "chart", "pypi", "github"}
    for name in writing:
        assert {"test", "build", "approval"} <= before(name)
    assert before("verify") >= writing
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tag", "branch", "said"),
    [
        ("v1.2.3", "main", ""),
        ("v1.2.4", "main", "the tag is v1.2.4, the version 1.2.3"),
        ("v1.2.3", "aside", "the tag is not on main"),
    ],
)
def test_only_a_tag_of_main_with_the_packages_version_is_released(
    tag: str, branch: str, said: str, tmp_path: Path
) -> None:
    package = tmp_path / "src" / "prisma_postgres_exporter"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    git = partial(subprocess.run, check=True, cwd=tmp_path, capture_output=True, text=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--allow-empty", "-qm", "one"]
    git(["git", "init", "-qb", "main"])
    git(["git", "add", "."])
    git(commit)
    git(["git", "update-ref", "refs/remotes/origin/main", "HEAD"])
    git(["git", "checkout", "-qB", branch])
    if branch != "main":
        git(commit)
    sha = git(["git", "rev-parse", "HEAD"]).stdout.strip()
    done = run_step("build", "The tag is the version, and on main", tmp_path, GITHUB_REF_NAME=tag, GITHUB_SHA=sha)
    assert (done.returncode != 0, said in done.stdout) == (bool(said), True), done.stdout + done.stderr


def test_what_is_pushed_has_a_name_without_capitals(tmp_path: Path) -> None:
    told = tmp_path / "output"
    done = run_step(
        "build",
        "Names of the registry, which has no capitals",
        tmp_path,
        GITHUB_REPOSITORY="Some-Owner/Exporter",
        GITHUB_REPOSITORY_OWNER="Some-Owner",
        GITHUB_OUTPUT=str(told),
    )
    assert done.returncode == 0, done.stderr
    names = dict(line.split("=") for line in told.read_text().splitlines())
    jobs = loaded(ROOT / ".github/workflows/release.yml")["jobs"]
    assert names == {"image": "ghcr.io/some-owner/exporter", "charts": "ghcr.io/some-owner/charts"}
    assert jobs["build"]["outputs"].keys() == names.keys()
    assert jobs["image"]["env"] == {"IMAGE": "${{ needs.build.outputs.image }}"}
    assert jobs["chart"]["env"] == {**jobs["image"]["env"], "CHARTS": "${{ needs.build.outputs.charts }}"}
    written = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    assert not re.search(r"ghcr\.io/\$\{\{|ghcr\.io/\$GITHUB", written)


def test_a_step_ends_where_a_part_of_a_pipe_fails() -> None:
    """As `run_step` runs it."""
    assert loaded(ROOT / ".github/workflows/release.yml")["defaults"] == {"run": {"shell": "bash"}}


def a_chart(directory: Path, helm: str) -> dict[str, str]:
    """A chart to be released, and the environment of the step that pushes it with a `helm` that does this."""
    chart = directory / "deploy/helm/prisma-postgres-exporter"
    chart.mkdir(parents=True)
    (chart / "values.yaml").write_text('image:\n  repository: prisma-postgres-exporter\n  digest: ""\n')
    tools = directory / "tools"
    tools.mkdir()
    for name, does in (("helm", helm), ("cosign", f'echo "$@" >> {directory}/signed')):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    return {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "IMAGE": "ghcr.io/o/exporter",
        "CHARTS": "ghcr.io/o/charts",
        "DIGEST": "sha256:00",
        "GITHUB_REF_NAME": "v1.2.3",
        "GITHUB_OUTPUT": str(directory / "output"),
    }


def test_the_chart_is_signed_by_the_digest_that_helm_told(tmp_path: Path) -> None:
    environ = a_chart(tmp_path, "echo Digest: sha256:11")
    done = run_step("chart", "The chart with the digest of the image in it", tmp_path, **environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "signed").read_text() == "sign --yes ghcr.io/o/charts/prisma-postgres-exporter@sha256:11\n"
    assert (tmp_path / "output").read_text() == "digest=sha256:11\n"


@pytest.mark.parametrize("helm", ['[ "$1" = package ]', "true"], ids=["not pushed", "no digest"])
def test_a_chart_that_was_not_pushed_is_not_signed(tmp_path: Path, helm: str) -> None:
    done = run_step("chart", "The chart with the digest of the image in it", tmp_path, **a_chart(tmp_path, helm))
    assert done.returncode != 0
    assert not (tmp_path / "signed").exists()


def test_what_was_published_is_verified_as_the_security_page_says() -> None:
    runs = "".join(
        step.get("run", "") for step in loaded(ROOT / ".github/workflows/release.yml")["jobs"]["verify"]["steps"]
    )
    page = (ROOT / ".github/SECURITY.md").read_text(encoding="utf-8")
    for command in ("cosign verify", "--certificate-identity", "gh attestation verify", "SHA256SUMS"):
        assert command in runs
        assert command in page
    build = loaded(ROOT / ".github/workflows/release.yml")["jobs"]["build"]["steps"]
    [version] = [step["with"]["python-version"] for step in build if "python-version" in step.get("with", {})]
    assert f"with Python {version}, which the release is built with" in page


def test_a_build_into_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old-1.0.whl").touch()
    done = subprocess.run([ROOT / ".ci/build", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)


def test_the_base_image_is_that_of_the_dockerfile_by_its_digest() -> None:
    build = next(
        step
        for step in loaded(ROOT / ".github/workflows/release.yml")["jobs"]["image"]["steps"]
        if step.get("id") == "push"
    )
    assert build["with"]["build-args"] == "PYTHON_IMAGE=${{ steps.base.outputs.image }}"
    assert build["with"]["provenance"] == "mode=max"  # which records it
    froms = re.findall(r"^FROM (\S+)", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.M)
    assert set(froms) == {"${PYTHON_IMAGE}"}


def test_what_is_locked_is_audited_and_what_is_released_has_a_bill_of_materials() -> None:
    audit = loaded(ROOT / ".github/workflows/test.yml")["jobs"]["audit"]["steps"][-1]["run"]
    assert "for lock in deploy/requirements*.txt tests/deploy/requirements-helm.txt; do" in audit
    kept = subprocess.run(
        ["git", "ls-files", "*requirements*.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {str(Path(path).parent) for path in kept.stdout.split()} == {"deploy", "tests/deploy"}
    assert [path.name for path in (ROOT / "tests/deploy").glob("requirements*.txt")] == ["requirements-helm.txt"]
    assert "pip-audit --disable-pip --require-hashes" in audit
    release = "".join(step.get("run", "") for step in steps(loaded(ROOT / ".github/workflows/release.yml")))
    assert "cyclonedx-py requirements deploy/requirements.txt" in release


def run_step(job: str, name: str, directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run what a step of the release runs, as a runner does."""
    [step] = [
        step
        for step in loaded(ROOT / ".github/workflows/release.yml")["jobs"][job]["steps"]
        if step.get("name") == name
    ]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=directory,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_release_fills_in_lines_that_the_chart_has() -> None:
    values = (ROOT / "deploy/helm/prisma-postgres-exporter/values.yaml").read_text(encoding="utf-8").splitlines()
    for line in ("  repository: prisma-postgres-exporter", '  digest: ""'):
        assert values.count(line) == 1
