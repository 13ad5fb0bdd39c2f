"""The parts import what they may; the rules between packages are import-linter's, these are the ones it cannot say."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huoyan

SOURCE = Path(huoyan.__file__).parent


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
