"""What the system says of a full disk ends a run so that it can go on; everything else stays what it was."""

from __future__ import annotations

import errno
import os

import pytest

from cityguessr_data.core.errors import DiskFullError, disk_full_stops


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.ENOSPC, "no space left while writing there", "Free some space"),
        (errno.EDQUOT, "no space left while writing there", "Free some space"),
        (errno.EFBIG, "there would be larger than a file may be here", "ulimit -f"),
    ],
)
def test_a_full_disk_is_told_and_resumable(code: int, message: str, hint: str) -> None:
    with pytest.raises(DiskFullError) as stopped, disk_full_stops("there"):
        raise OSError(code, os.strerror(code))
    assert stopped.value.exit_code == 3 and stopped.value.message == message and hint in stopped.value.hint
    assert "run the same command again" in stopped.value.hint


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOENT, None])
def test_what_the_system_refuses_otherwise_is_no_full_disk(code: int | None) -> None:
    error = OSError("odd") if code is None else OSError(code, os.strerror(code))
    with pytest.raises(OSError) as raised, disk_full_stops("there"):
        raise error
    assert raised.value is error
