"""Leadership: an exclusive lock on a file, held for the life of the process (safety.md, R29)."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bot.errors import Broken, Busy

LOCK = "leader.lock"


@dataclass
class Leadership:
    """The right to write in ``state_dir``. The lock file also remembers the newest epoch, see `remember`."""

    state_dir: Path
    epoch: int
    """The newest epoch that any leader of this folder has reached; 0 in a new folder."""
    _fd: int

    @classmethod
    def acquire(cls, state_dir: Path, *, wait: bool = False) -> Leadership:
        """Take the lock, or raise `Busy` at once with the other's process id; ``wait`` stands by for it.

        Creates ``state_dir`` with mode 0700 when it is missing, and touches nothing else in it. Raises `Broken` when
        the folder or the lock file cannot be used.
        """
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                fd = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_still(fd, state_dir / LOCK):
                        break
                except BlockingIOError:
                    pid = _read(fd).get("pid")
                    os.close(fd)
                    raise Busy(
                        f"Another sendcat leads here (process {pid or 'unknown'}).",
                        rule="one leader per state folder",
                        then="use it, stop it, or stand by with `sendcat serve --standby`",
                    ) from None
                except BaseException:
                    os.close(fd)
                    raise
                os.close(fd)
        except OSError as error:
            raise Broken(
                f"The state folder {state_dir} cannot be used: {error.strerror}.", then="sendcat doctor"
            ) from error
        held = cls(state_dir, _read(fd).get("epoch", 0), fd)
        held._note()
        return held

    def remember(self, epoch: int) -> None:
        """Note the epoch beside the database, so that a lost or older database file is noticed (R41)."""
        self.epoch = epoch
        self._note()

    def release(self) -> None:
        """Give the lock back; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def _note(self) -> None:
        text = json.dumps({"pid": os.getpid(), "epoch": self.epoch}).ljust(63) + "\n"
        os.pwrite(self._fd, text.encode(), 0)
        os.ftruncate(self._fd, len(text))
        os.fsync(self._fd)


def _is_still(fd: int, path: Path) -> bool:
    """False when somebody removed the file between our opening and our lock."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _read(fd: int) -> dict[str, int]:
    try:
        held = json.loads(os.pread(fd, 256, 0) or b"{}")
    except ValueError:
        return {}
    return {k: v for k, v in held.items() if isinstance(v, int)} if isinstance(held, dict) else {}
