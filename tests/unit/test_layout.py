"""The parts import what they may; the rules between packages are import-linter's, these are the ones it cannot say."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import huoyan

SOURCE = Path(huoyan.__file__).parent
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def _installed_with(names: set[str], seen: set[tuple[str, str]]) -> set[str]:
    """Return the distributions that come with requirements such as `kombu[redis]`, themselves included."""
    found: set[str] = set()
    for requirement in map(Requirement, names):
        name = canonicalize_name(requirement.name)
        found.add(name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                further = (Requirement(text) for text in requires(name) or ())
                wanted = {
                    str(needed).split(";")[0]
                    for needed in further
                    if (not needed.marker or needed.marker.evaluate({"extra": extra}))
                }
                found |= _installed_with(wanted, seen)
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_model_needs_the_standard_library_only() -> None:
    files = sorted((SOURCE / "model").rglob("*.py"))
    assert files
    allowed = ("huoyan.model", "huoyan.errors", "huoyan.clock")
    foreign = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in files
        for name in _imports(path)
        if not (name.split(".")[0] in sys.stdlib_module_names or name == "" or name.startswith(allowed))
    }
    assert foreign == set()


def test_importing_the_package_brings_nothing_but_prometheus_client() -> None:
    program = "import huoyan, json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    bare = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    before, after = (
        set(json.loads(subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.PIPE).stdout))
        for text in (bare, program)
    )
    brought = {name for name in after - before if name not in sys.stdlib_module_names}
    assert brought <= {"huoyan", "prometheus_client"}


def test_the_server_extra_brings_everything_that_the_server_imports() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    brought = _installed_with({*project["dependencies"], *project["optional-dependencies"]["server"]}, set())
    distributions = packages_distributions()
    parts = [SOURCE / part for part in ("cli", "deploy", "model", "server", "signals")]
    missing = {
        f"{path.relative_to(SOURCE)}: {name}"
        for part in parts
        for path in sorted(part.rglob("*.py"))
        for name in _imports(path)
        if (top := name.split(".")[0]) not in {*sys.stdlib_module_names, "huoyan", ""}
        and not brought.intersection(map(canonicalize_name, distributions.get(top, ())))
    }
    assert missing == set()
