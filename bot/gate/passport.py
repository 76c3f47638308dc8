"""The release passport: a signed statement that a release was approved, checked offline (INTERFACES.md, section 5).

Canonical JSON (RFC 8785) signed with the bot's Ed25519 key, whose public half stands in the passport; whoever checks it
pins the fingerprint that the bot prints: a passport signed by an unknown key is no approval.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bot.asking import same_commit
from bot.errors import Broken, Refused
from bot.redact import inert
from bot.store.case import Case

KEY_FILE = "passport.key"
DOMAIN = b"sendcat release passport v1\x00"


def signing_key(state_dir: Path) -> Ed25519PrivateKey:
    """The bot's key, made once, readable by its owner only."""
    path = state_dir / KEY_FILE
    if not path.exists():
        raw = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            os.fsync(file.fileno())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def fingerprint(public: bytes) -> str:
    """32 hex digits (128 bits) of a public key: what people compare and pipelines pin."""
    return hashlib.sha256(public).hexdigest()[:32]


def own_fingerprint(state_dir: Path | None) -> str | None:
    """The fingerprint of the bot whose folder this is; None when there is no such folder or it never signed."""
    if state_dir is None or not (state_dir / KEY_FILE).is_file():
        return None
    try:
        key = Ed25519PrivateKey.from_private_bytes((state_dir / KEY_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return fingerprint(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def issue(case: Case, key: Ed25519PrivateKey, now_ms: int) -> dict[str, Any]:
    """The passport of an approved case: what was approved, by whom, on which evidence, until when."""
    answer = case.answer
    assert answer is not None
    said: dict[str, Any] = {
        "version": 1,
        "release": case.subject,
        "commit": case.commit,
        "target": case.target,
        "case": case.id,
        "verdict": case.verdict.value,
        "decision": {
            "id": answer.id,
            "verb": answer.verb,
            "by": answer.by,
            "person": answer.person,
            "reason": answer.reason,
            "at_ms": answer.at_ms,
            "until_ms": answer.until_ms,
            "audit": answer.audit,
        },
        "waived": [{"scenario": w.scenario, "by": w.by, "reason": w.reason} for w in case.waivers],
        "evidence": {"binding": case.binding, "digest": case.digest},
        "issued_ms": now_ms,
    }
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = key.sign(DOMAIN + rfc8785.dumps(said))
    return {
        "passport": said,
        "key": base64.b64encode(public).decode(),
        "fingerprint": fingerprint(public),
        "signature": base64.b64encode(signature).decode(),
    }


class NotValid(Refused):
    """The passport does not allow this release: altered, expired, or about something else (exit status 1)."""

    exit_status = 1
    word = "NOT VALID"


@dataclass(frozen=True)
class Checked:
    """A passport whose signature fits: what it says, and whose key signed it."""

    said: dict[str, Any]
    fingerprint: str


def verify(text: str, now_ms: int, *, release: str | None = None) -> Checked:
    """Check a passport without network or database.

    ``release`` is what it must be about, NAME or NAME@COMMIT. Raises `NotValid` when it is altered, expired or about
    something else, `Broken` when it is no passport. Whose key signed it is for the caller to judge.
    """
    try:
        held = json.loads(text)
        said, public = held["passport"], base64.b64decode(held["key"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(held["signature"], validate=True), DOMAIN + rfc8785.dumps(said)
        )
        until_ms, approved = int(said["decision"]["until_ms"]), said["decision"]["verb"] == "approve"
        about, commit = str(said["release"]), said["commit"]
    except InvalidSignature:
        raise NotValid(
            "The passport was altered: its signature does not fit.", rule="a passport is signed (R39)"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Broken(
            f"This is no release passport: {type(error).__name__}.", then="gate status --release=NAME"
        ) from None
    if not approved:
        raise NotValid("The passport tells of no approval.")
    if now_ms >= until_ms:
        raise NotValid("The approval has expired.", rule="decisions expire (R11)", then="run the gate again")
    name, _, wanted = (release or "").partition("@")
    if release is not None and (about != name or not same_commit(commit, wanted)):
        shown = f"{about}@{commit}" if commit else about
        raise NotValid(
            f"The passport is about {inert(shown, 120)}, not about {inert(release, 120)}.",
            rule="an approval is bound to release and commit (R10)",
        )
    return Checked(said, fingerprint(public))
