"""The release passport: a signed statement that a release was approved, checked offline (INTERFACES.md, section 5).

Canonical JSON (RFC 8785) signed with the bot's Ed25519 key, whose public half stands in the passport; whoever checks it
compares the fingerprint with the one that the bot prints (`fingerprint`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bot.errors import Broken
from bot.store.cases import Case

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
    """Sixteen hex digits that people compare."""
    return hashlib.sha256(public).hexdigest()[:16]


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


def verify(text: str, now_ms: int) -> dict[str, Any]:
    """Check a passport without network or database; returns what it says, ``fingerprint`` beside it.

    Raises `Broken` with what is wrong: not a passport, altered, or no longer valid.
    """
    try:
        held = json.loads(text)
        said, public = held["passport"], base64.b64decode(held["key"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(held["signature"], validate=True), DOMAIN + rfc8785.dumps(said)
        )
        until_ms = int(said["decision"]["until_ms"])
        approved = said["decision"]["verb"] == "approve"
    except InvalidSignature:
        raise Broken(
            "The passport was altered: its signature does not fit.", rule="a passport is signed (R39)"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(
            f"This is no release passport: {type(error).__name__}.", then="gate status --release=NAME"
        ) from None
    if not approved:
        raise Broken("The passport tells of no approval.")
    if now_ms >= until_ms:
        raise Broken("The approval has expired.", rule="decisions expire (R11)", then="run the gate again")
    return {**said, "fingerprint": fingerprint(public)}
