"""The key that signs checkpoints of the audit trail: Ed25519, made once, kept beside the database (decision 11; R40).

The private half stays in ``audit.key`` (0600). The public half stands in ``audit.pub`` and in the anchor channel, so
that a verifier does not have to take it from this machine.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import Broken

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE, PUBLIC = "audit.key", "audit.pub"
WORD = "sendcat-audit-key"


@dataclass(frozen=True)
class Signer:
    """Signs lines of text. ``origin`` names the trail and follows from the public key."""

    origin: str
    public: bytes
    _key: Ed25519PrivateKey

    @classmethod
    def load(cls, state_dir: Path, *, fresh: bool) -> Signer:
        """The key of this folder; made when there is none and ``fresh``: nothing was ever signed here (R41).

        Blocks on the disk, and loads a library: call it off the event loop. Raises `Broken` when the key is missing
        though it was used, when others can read it, or when it is none.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        path = state_dir / PRIVATE
        try:
            if fresh and not path.exists() and not (state_dir / PUBLIC).exists():
                _write_once(path, Ed25519PrivateKey.generate().private_bytes_raw(), 0o600)
            if path.stat().st_mode & 0o077:
                raise Broken(
                    f"Others can read {path.name}, the key that signs the audit trail.",
                    rule="a checkpoint is worth what its key is (R40)",
                    then=f"chmod 600 {path}",
                )
            key = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        except FileNotFoundError:
            raise Broken(
                f"{path.name} is missing, though checkpoints were signed with it.",
                rule="nothing is ever recreated automatically (R41)",
                then=f"put {path.name} back from where you keep it",
            ) from None
        except (OSError, ValueError) as error:
            raise Broken(f"{path.name} cannot be used ({error}).", then="sendcat doctor") from error
        public = key.public_key().public_bytes_raw()
        signer = cls(origin_of(public), public, key)
        with contextlib.suppress(FileExistsError):
            _write_once(state_dir / PUBLIC, signer.card.encode() + b"\n", 0o644)
        if public_key(state_dir) != public:
            raise Broken(
                f"{PUBLIC} is not the public half of {PRIVATE}.",
                rule="nothing is ever recreated automatically (R41)",
                then="put the right pair back",
            )
        return signer

    def sign(self, text: str) -> str:
        """The signature of a text, in base64. The same text always gets the same signature."""
        return base64.b64encode(self._key.sign(text.encode())).decode()

    @property
    def card(self) -> str:
        """The public key as one line, for ``audit.pub`` and the anchor channel."""
        return f"{WORD} {self.origin} {base64.b64encode(self.public).decode()}"


def origin_of(public: bytes) -> str:
    """The name of the trail that this public key belongs to."""
    return f"sendcat/{hashlib.sha256(public).hexdigest()[:16]}"


def public_key(state_dir: Path) -> bytes | None:
    """The 32 bytes of ``audit.pub``; None when it is missing or is none."""
    try:
        word, _, encoded = (state_dir / PUBLIC).read_text().split()
        key = base64.b64decode(encoded, validate=True)
    except (OSError, ValueError):
        return None
    return key if word == WORD and len(key) == 32 else None


def signed(public: bytes, text: str, signature: str) -> bool:
    """Whether the signature (base64) of a text was made with the private half of this key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole, under a name that must be free."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
