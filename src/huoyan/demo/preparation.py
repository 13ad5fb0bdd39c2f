"""What is checked and made before the first process starts."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import huoyan
from huoyan.demo.configuration import settings_text
from huoyan.demo.ports import DEFAULT_PORT, is_free
from huoyan.demo.stage import Stage
from huoyan.errors import AlreadyRunning, Unsupported

_MARK = ".huoyan-demo"
_TEMPORARY = "huoyan-demo-"
_NEEDED = ("aiosmtpd", "apscheduler", "celery", "fastapi", "httpx", "huey", "sqlalchemy", "uvicorn")


def find_applications() -> Path:
    """Return the folder that holds `examples`: inside an installed package, or the root of the repository.

    Raises:
        Unsupported: They are in neither place.
    """
    package = Path(huoyan.__file__).resolve().parent
    for folder in (package / "demo" / "applications", package.parents[1]):
        if (folder / "examples" / "orders" / "app.py").is_file():
            return folder
    raise Unsupported(
        f"expected the worked applications in examples/, found none beside {package}. "
        "They come with the repository and with the packages built from it"
    )


def page_is_built() -> bool:
    """Tell whether the server has a page to show."""
    return (Path(huoyan.__file__).resolve().parent / "server" / "web" / "dist" / "index.html").is_file()


def check_packages() -> None:
    """Check that the packages which the applications need are installed.

    Raises:
        Unsupported: Some are missing.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise Unsupported(
            f"expected the packages of the demonstration, {', '.join(missing)} missing. "
            "Install them: pip install 'huoyan[demo]'"
        )


def check_port(port: int) -> None:
    """Check that nothing listens on the port of the page.

    Raises:
        AlreadyRunning: Something does.
    """
    if not is_free(port):
        other = port + 100 if port + 110 < 65536 else port - 100
        raise AlreadyRunning(
            f"expected port {port} to be free, another program listens on it. Choose another: "
            f"huoyan demo --port {other}, or HUOYAN_PORT={other} make demo"
        )


def folder_for(port: int) -> Path:
    """Return a folder for everything that is written: under the current one, or a temporary one where that cannot be.

    Args:
        port: Demonstrations on different ports have folders of their own.
    """
    name = "demo" if port == DEFAULT_PORT else f"demo-{port}"
    folder = Path("huoyan-data").absolute() / name
    try:
        if folder.exists() and not (folder / _MARK).exists():
            raise FileExistsError(folder)  # Somebody else's, by its name.
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix=_TEMPORARY))


def is_temporary(folder: Path) -> bool:
    """Tell whether a folder was made for one demonstration only."""
    return folder.name.startswith(_TEMPORARY) and folder.parent == Path(tempfile.gettempdir())


def prepare(stage: Stage) -> None:
    """Empty the folder and write the server's settings: each demonstration begins anew."""
    for path in stage.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    (stage.folder / _MARK).write_text("`huoyan demo` empties this folder at each start.\n", encoding="utf-8")
    for name in ("orders", "mail", "faults", "logs"):
        (stage.folder / name).mkdir(exist_ok=True)
    stage.settings_path.write_text(settings_text(stage.port, stage.ports["smtp"], stage.celery_url), encoding="utf-8")
