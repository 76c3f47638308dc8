"""The verifier finds every alteration and names the first bad record; it never cries wolf (safety.md, R39, R40)."""

from __future__ import annotations

import ast
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_kit import ALTERATIONS, DOMAIN, MORNING_MS, Alteration, Trail, first_difference, linked

from bot import verify
from bot.store import audit, checkpoints
from bot.store.audit import AuditRecord
from bot.store.tx import Tx


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    """Forty records in four anchored parts, as the product writes them."""
    made = Trail.make(tmp_path / "state")
    for _ in range(4):
        made.write(10, anchor=True)
    yield made
    made.close()


def alter_many(trail: Trail, times: int) -> list[str]:
    """Alter the trail in every way, many times; returns what was not found, or not named right."""
    rows, anchors = trail.rows, trail.anchors
    missed = []
    for seed in range(times):
        alteration = ALTERATIONS[seed % len(ALTERATIONS)]
        altered = alteration(list(rows), random.Random(seed))
        if altered == rows:
            continue
        report = verify.verify(altered, anchors)
        true = first_difference(rows, altered)
        named = report.first_bad
        # Where the chain was written anew, only the anchors tell: the first record after the last good one; a chain
        # that is shorter too cannot be told from one that was cut: the first record that is missing.
        vouched = max((a.size for a in anchors if a.size < true), default=0)
        anew = "relink" in alteration.__name__
        named_right = named is not None and (
            named == true
            or (vouched < named < true and (anew or named == vouched + 1))
            or (anew and len(altered) < anchors[-1].size and named == len(altered) + 1)
        )
        if report.exit_status != 1 or not named_right:
            missed.append(f"{alteration.__name__} {seed}: {named}, truly {true}")
    return missed


def test_R39_every_kind_of_alteration_is_found(trail: Trail) -> None:
    assert alter_many(trail, 550) == []


@pytest.mark.prove
def test_R39_five_thousand_alterations_are_all_found(tmp_path: Path) -> None:
    trail = Trail.make(tmp_path / "state")
    for _ in range(12):
        trail.write(25, anchor=True)
    assert alter_many(trail, 5_500) == []
    trail.close()


@pytest.mark.parametrize("alteration", [a for a in ALTERATIONS if "relink" not in a.__name__], ids=lambda a: a.__name__)
def test_R39_the_first_bad_record_is_named_exactly(trail: Trail, alteration: Alteration) -> None:
    """Whoever does not write the rest of the chain anew is found at the very record, with or without anchors."""
    rows = trail.rows
    for seed in range(20):
        altered = alteration(list(rows), random.Random(seed))
        true = first_difference(rows, altered)
        if altered == rows[: len(altered)] or true == len(rows):
            continue  # at the very end only the anchors can tell
        assert verify.verify(altered).first_bad == true


def test_R39_a_cut_tail_and_an_older_file_are_found_by_the_anchors(trail: Trail, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with sqlite3.connect(older) as db:
        trail.tx.db.backup(db)
        db.execute("DROP TRIGGER audit_no_delete")
        sql = trail.tx.db.execute("SELECT sql FROM sqlite_schema WHERE name = 'audit_no_delete'").fetchone()[0]
        db.execute("DELETE FROM audit WHERE seq > 25")
        db.execute(sql)
    db.close()
    report = verify.verify_file(str(older), trail.anchors)

    assert (report.exit_status, report.first_bad, report.anchored) == (1, 26, 20)
    assert "ends at record 25; 30 were anchored" in report.problems[0].what
    assert "first bad record 26" in report.sentence


def test_R39_a_rewritten_chain_is_found_between_two_anchors(trail: Trail) -> None:
    """Record 17 altered and everything after it made to fit: the anchor of 10 holds, that of 20 does not."""
    rows = trail.rows
    seq, prev, digest, body = rows[16]
    altered = linked(
        [
            *rows[:16],
            (
                seq,
                prev,
                digest,
                body.replace("lead", "boss")
                .replace("oncall", "boss")
                .replace("relmgr", "boss")
                .replace('"outcome":"PASS"', '"outcome":"FAIL"'),
            ),
            *rows[17:],
        ],
        16,
    )
    report = verify.verify(altered, trail.anchors)

    assert (report.first_bad, report.anchored) == (11, 10)
    assert "record 11 to 20" in report.problems[0].what


def test_R40_what_is_newer_than_the_last_anchor_is_never_called_verified(trail: Trail) -> None:
    trail.write(7)
    report = verify.verify(trail.rows, trail.anchors)

    assert (report.exit_status, report.records, report.anchored) == (0, 47, 40)
    assert "VERIFIED: 40 of 47" in report.sentence
    assert "7 newer ones hold together and are not yet anchored" in report.sentence
    assert verify.verify(trail.rows).exit_status == 3
    assert "NOT ANCHORED" in verify.verify(trail.rows).sentence


def test_R42_nothing_to_verify_is_no_pass() -> None:
    report = verify.verify([])
    assert (report.exit_status, report.sentence) == (3, "The trail is empty.")


def clean_checks(trail: Trail, tmp_path: Path, times: int) -> list[str]:
    """Check what nobody touched, as copy, backup, compacted, exported; at every length; returns alarms."""
    alarms = []
    path = trail.folder / "sendcat.db"
    for n in range(times):
        trail.write(1, anchor=n % 3 == 0)
        copy = tmp_path / f"copy-{n}.db"
        if n % 4 == 0:
            trail.tx.db.execute("VACUUM INTO ?", (str(copy),))
        elif n % 4 == 1:
            target = sqlite3.connect(copy)
            trail.tx.db.backup(target)
            target.close()
        elif n % 4 == 2:
            copy.write_text(
                "".join(
                    json.dumps(dict(zip(("seq", "prev_hash", "hash", "body"), row, strict=True))) + "\n"
                    for row in trail.rows
                )
            )
        else:
            if n % 100 == 3:
                trail.tx.db.execute("VACUUM")
            copy = path
        report = verify.verify_file(str(copy), trail.anchors)
        if report.problems or report.exit_status != 0:
            alarms.append(f"{n}: {report}")
        if copy != path:
            copy.unlink()
    return alarms


def test_R39_no_alarm_without_cause(trail: Trail, tmp_path: Path) -> None:
    assert clean_checks(trail, tmp_path, 40) == []


@pytest.mark.prove
def test_R39_a_thousand_clean_checks_give_no_alarm(trail: Trail, tmp_path: Path) -> None:
    assert clean_checks(trail, tmp_path, 1_000) == []


@pytest.mark.prove
def test_a_hundred_thousand_records_are_verified_within_two_seconds(tmp_path: Path) -> None:
    trail = Trail.make(tmp_path / "state")
    for _ in range(100):
        trail.write(1_000, anchor=True)
    took = []
    for _ in range(3):
        began = time.perf_counter()
        report = verify.verify_file(str(trail.folder / "sendcat.db"), trail.anchors)
        took.append(time.perf_counter() - began)
        assert (report.exit_status, report.anchored) == (0, 100_000)
    assert min(took) <= 2.0
    trail.close()


def body(seq: int, **more: object) -> str:
    return json.dumps({"seq": seq, **more}, sort_keys=True, separators=(",", ":"))


def hashed(text: str, before: str = "0" * 64) -> str:
    import hashlib

    return hashlib.sha256(DOMAIN + bytes.fromhex(before) + text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ((None, None, None, None), "is not a record"),
        ((True, "0" * 64, "0" * 64, "{}"), "is not a record"),
        ((1, b"0", "0" * 64, "{}"), "is not a record"),
        ((1, "0" * 64, 5, "{}"), "is not a record"),
        ((1, "0" * 64, "0" * 64, None), "is not a record"),
        ((2, "0" * 64, "0" * 64, "{}"), "record 1 is missing"),
        ((0, "0" * 64, "0" * 64, "{}"), "stands where 1 belongs"),
        ((1, "1" * 64, "0" * 64, "{}"), "does not follow"),
        ((1, "0" * 64, "0" * 64, "no"), "not JSON"),
        ((1, "0" * 64, "0" * 64, "[" * 100_000), "not JSON"),
        ((1, "0" * 64, "0" * 64, "\udc80"), "not JSON"),
        ((1, "0" * 64, "0" * 64, "{}"), "does not give its hash"),
        ((1, "0" * 64, hashed("[1]"), "[1]"), "another number"),
        ((1, "0" * 64, hashed('{"seq":2}'), '{"seq":2}'), "another number"),
    ],
)
def test_R39_each_fault_has_its_sentence(row: verify.Row, what: str) -> None:
    report = verify.verify([row])
    assert report.first_bad == 1
    assert what in report.problems[0].what


def test_R39_an_anchor_beyond_a_broken_chain_adds_nothing(trail: Trail) -> None:
    rows = trail.rows
    report = verify.verify([*rows[:24], *rows[25:]], trail.anchors)
    assert [p.record for p in report.problems] == [25]
    assert report.anchored == 20


# Anchors


def text_of_anchors(trail: Trail) -> str:
    return (trail.folder / checkpoints.FILE).read_text()


def test_R40_lines_pasted_out_of_a_channel_are_read(trail: Trail) -> None:
    lines = text_of_anchors(trail).splitlines()
    pasted = f"Audit bot  APP  9:41\nAudit trail anchored\n`{lines[0]}`\n\n  {lines[1]}  \nthank you"
    found, problems = verify.read_anchors(pasted, trail.signer.public)
    assert [a.size for a in found] == [10, 20]
    assert problems == []


@pytest.mark.parametrize("change", ["size", "head", "time", "signature", "kind", "word"])
def test_R40_a_changed_anchor_is_no_anchor(trail: Trail, change: str) -> None:
    lines = text_of_anchors(trail).splitlines()
    parts = lines[1].split(" ")
    at = {"kind": 1, "word": 2, "size": 3, "head": 4, "time": 5, "signature": 6}[change]
    parts[at] = {
        "kind": "restore",
        "word": "x",
        "size": "21",
        "head": "0" * 64,
        "time": "1",
        "signature": "A" * 86 + "==",
    }[change]
    lines[1] = " ".join(parts)
    found, problems = verify.read_anchors("\n".join(lines) + "\n", trail.signer.public)
    assert [a.size for a in found] == [10, 30, 40]
    assert "anchor 2 is not signed" in problems[0].what
    lines[1] = "sendcat-audit-1 nonsense"
    assert len(verify.read_anchors("\n".join(lines), trail.signer.public)[1]) == 1


def test_R40_another_trails_anchors_do_not_count(trail: Trail, tmp_path: Path) -> None:
    other = Trail.make(tmp_path / "other")
    text = f"sendcat-audit-1 checkpoint {other.signer.origin} 10 {'0' * 64} 5"
    foreign = f"{text} {trail.signer.sign(text)}\n"
    found, problems = verify.read_anchors(foreign, trail.signer.public)
    assert found == []
    assert "belongs to" in problems[0].what
    other.close()


def test_R39_a_line_that_a_crash_cut_is_no_alarm(trail: Trail) -> None:
    """Cut at the end of the file, or followed by the whole line that the next start wrote."""
    text = text_of_anchors(trail)
    for cut in (1, 30, 89, 150, 200):
        found, problems = verify.read_anchors(text[:-cut], trail.signer.public)
        assert ([a.size for a in found], problems) == ([10, 20, 30, 40] if cut == 1 else [10, 20, 30], [])
        last = text.splitlines()[-1]
        mended, problems = verify.read_anchors(text[:-cut] + "\n" + last + "\n", trail.signer.public)
        assert (sorted({a.size for a in mended}), problems) == ([10, 20, 30, 40], [])


def test_R39_a_restore_makes_longer_anchors_void_and_is_told(trail: Trail) -> None:
    """A backup of 20 records put back: the record of the restore is number 21, signed as one."""
    rows = trail.rows[:20]
    db = trail.tx.db
    for name in ("audit_no_delete", "checkpoints_no_delete"):
        db.execute(f"DROP TRIGGER {name}")
    db.execute("DELETE FROM audit WHERE seq > 20")
    db.execute("DELETE FROM checkpoints WHERE size > 20")
    before = verify.verify(rows, trail.anchors)
    assert before.first_bad == 21

    late = Tx(db, MORNING_MS + 10**9, 1)
    audit.append(late, AuditRecord(phase="result", action="restore", actor="os:lead", door="terminal"))
    trail.tx = late
    trail.anchor("restore")
    trail.write(4, anchor=True)
    report = verify.verify(trail.rows, trail.anchors)

    assert (report.exit_status, report.anchored) == (0, 25)
    assert "the former records 21 to 40 were set aside" in report.notes[0]
    assert "record 21 tells of it" in report.notes[0]


def test_R39_a_signed_restore_needs_its_record(trail: Trail) -> None:
    trail.write(1)
    trail.anchor("restore")
    report = verify.verify(trail.rows, trail.anchors)
    assert report.first_bad == 41
    assert "tells of none" in report.problems[0].what
    assert report.notes[0].endswith("tells of it")


def test_a_time_that_no_calendar_has_is_shown_as_it_is(trail: Trail) -> None:
    seq, _, head, _ = trail.rows[-1]
    report = verify.verify(trail.rows, [verify.Anchor("checkpoint", "x", seq, head, 10**15 - 1)])
    assert "999999999999999 ms" in report.sentence


# Files and the command line


def test_R39_a_database_without_its_guards_is_told(trail: Trail) -> None:
    trail.tx.db.execute("DROP TRIGGER audit_no_update")
    report = verify.verify_file(str(trail.folder / "sendcat.db"), trail.anchors)
    assert report.exit_status == 1
    assert report.first_bad is None
    assert "audit_no_update" in report.sentence


def test_R39_a_view_in_place_of_the_trail_is_told(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE VIEW audit AS SELECT 1 AS seq")
    db.close()
    assert verify.verify_file(str(tmp_path / "x.db")).problems[0].what.endswith("audit")


def test_R39_a_damaged_file_is_told(trail: Trail, tmp_path: Path) -> None:
    trail.tx.db.execute("VACUUM INTO ?", (str(tmp_path / "x.db"),))
    content = bytearray((tmp_path / "x.db").read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    (tmp_path / "x.db").write_bytes(bytes(content))
    report = verify.verify_file(str(tmp_path / "x.db"), trail.anchors)
    assert report.exit_status == 1
    assert "damaged" in report.problems[-1].what


def test_an_export_with_a_line_that_is_no_record_is_told(tmp_path: Path) -> None:
    for wrong in ("no", "[1]"):
        (tmp_path / "x.jsonl").write_text(f"\n{wrong}\n")
        assert "is not a record" in verify.verify_file(str(tmp_path / "x.jsonl")).problems[0].what


def run(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, verify.__file__, *words], capture_output=True, text=True, cwd="/")
    return done.returncode, done.stdout + done.stderr


def test_the_file_runs_alone_and_offline(trail: Trail, tmp_path: Path) -> None:
    """As an auditor would: the one file, a copy, the anchors, the key; no project around it."""
    state = trail.folder
    good = run(str(state / "sendcat.db"), f"--anchors={state / 'anchors.txt'}", f"--key={state / 'audit.pub'}")
    assert good[0] == 0
    assert good[1].startswith("VERIFIED: 40 of 40 records")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_line_says_what_is_wrong(
    trail: Trail, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    export = tmp_path / "x.jsonl"
    rows = trail.rows
    export.write_text(
        "".join(
            json.dumps(dict(zip(("seq", "prev_hash", "hash", "body"), row, strict=True))) + "\n" for row in rows[:33]
        )
    )
    anchors = tmp_path / "anchors.txt"
    anchors.write_text(text_of_anchors(trail) + "sendcat-audit-1 x\n")
    words = [
        str(export),
        f"--anchors={anchors}",
        f"--key={trail.folder / 'audit.pub'}",
        *(["--json"] if as_json else []),
    ]

    assert verify.main(words) == 1
    said = capsys.readouterr().out
    if as_json:
        told = json.loads(said)
        assert (told["first_bad"], told["anchored"], told["exit_status"], len(told["problems"])) == (34, 30, 1, 2)
    else:
        assert said.splitlines()[0] == "CHANGED: first bad record 34."
        assert len(said.splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["x.jsonl", "--anchors=a"], "needs --key"),
        (["missing.db"], "missing.db"),
        (["x.jsonl", "--anchors=a", "--key=k"], "not a public key"),
    ],
)
def test_wrong_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], what: str
) -> None:
    import base64

    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jsonl").write_text("")
    (tmp_path / "a").write_text("")
    (tmp_path / "k").write_text("sendcat-audit-key sendcat/0 " + base64.b64encode(b"0" * 32).decode())
    with pytest.raises(SystemExit) as ended:
        verify.main(words)
    assert ended.value.code == 2
    assert what in capsys.readouterr().err


def test_R39_the_verifier_shares_nothing_with_the_writer() -> None:
    """It imports the standard library and the library of signatures, and nothing of ours."""
    tree = ast.parse(Path(verify.__file__).read_text())
    named = {n.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    named |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert named - set(sys.stdlib_module_names) == {"cryptography"}
