"""Workers of a forked command: forked as well, from a process that has imported torch, which costs four seconds each.

A worker is as Python's start method `forkserver` makes it: what it is to do comes pickled through a pipe, as it does
with `spawn`. The server of that method is started once, and the commands inherit it. Environment and output are the
command's.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from typing import Any

TRIED = sys.version_info[:2] == (3, 11)
"""Two private names of the standard library are used below; under another Python the workers are spawned as ever."""
_IMPORTS = (
    "cityguessr_data.media.session",
    "cityguessr_data.pipeline",
    "cityguessr_data.run.worker",
    "cityguessr_data.vision.retinaface.torch_backend",
    "cityguessr_data.vision.retinaface.boxes",
    "cityguessr_data.vision.retinaface.load",
    "torchvision",
    "torchvision.ops",
    "yt_dlp.extractor.extractors",
    "tests.support_workers",
    "tests.support_frozen",
)
HOOK = "CGTOOL_TEST_HOOK"
"""Variable that names a module of the tests whose `install` a command and its workers call before they begin, such as
one that makes their writing fail."""


class Worker(ForkServerProcess):
    """A process that takes on the environment and the output of the command that started it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._command, self._environment = os.getpid(), dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        for standard in (1, 2):
            stream = os.open(f"/proc/{self._command}/fd/{standard}", os.O_WRONLY | os.O_APPEND)
            os.dup2(stream, standard)
            os.close(stream)
        install_hook()
        super().run()


def install_hook() -> None:
    """Call what HOOK names; nothing where it is not set."""
    if HOOK in os.environ:
        importlib.import_module(os.environ[HOOK]).install()


def start() -> None:
    """Start the process that workers are forked from; nothing where it runs."""
    multiprocessing.set_forkserver_preload(list(_IMPORTS))
    forkserver.ensure_running()


def stop() -> None:
    """End that process; nothing where it does not run."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def use() -> None:
    """In a command's process: workers come from the server that it inherited, whose parent it is not."""
    server = forkserver._forkserver  # type: ignore[attr-defined]
    server.ensure_running = lambda: None
    resource_tracker._resource_tracker._pid = None  # type: ignore[attr-defined]
    context = multiprocessing.get_context("forkserver")
    context.Process = Worker  # type: ignore[misc, assignment]
    multiprocessing.get_context = lambda method=None: context  # type: ignore[assignment]
