"""A practice channel as the page may have to draw it: every card of ux.md's sketches, and texts that try to break out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

ONCALL, RELMGR, LEAD, VISITOR, GUEST, STRANGER, BOT = (
    "U0ONCALL",
    "U0RELMGR",
    "U0LEAD",
    "U0VISIT",
    "U0GUEST",
    "U0STRANGE",
    "U0SENDCAT",
)
INCIDENT, RELEASES, OPS, DIRECT = "C0INC", "C0REL", "C0OPS", "D0BOT"

# 14:02 in UTC of the day the tests run, so that times read as in the sketches and nothing is "yesterday".
START = int(datetime.now(UTC).replace(hour=14, minute=2, second=11, microsecond=0).timestamp())


def ts(minutes: float) -> str:
    """Slack's message time, so many minutes after 14:02."""
    return f"{START + minutes * 60:.6f}"


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def header(text: str) -> Json:
    return {"type": "header", "block_id": f"h-{abs(hash(text)) % 9999}", "text": plain(text)}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def context(*texts: str) -> Json:
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def button(label: str, action_id: str, value: str = "", **more: Any) -> Json:
    return {"type": "button", "text": plain(label), "action_id": action_id, "value": value or f"o-{action_id}", **more}


def confirm(title: str, text: str, yes: str, style: str = "primary") -> Json:
    return {"title": plain(title), "text": mrkdwn(text), "confirm": plain(yes), "deny": plain("Cancel"), "style": style}


def actions(block_id: str, *elements: Json) -> Json:
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


def overflow(action_id: str, *labels: str) -> Json:
    options = [{"text": plain(label), "value": f"v{index}"} for index, label in enumerate(labels)]
    return {"type": "overflow", "action_id": action_id, "options": options}


def raw(text: str) -> Json:
    return {"type": "raw_text", "text": text}


def table(rows: list[list[str]], right: tuple[int, ...] = ()) -> Json:
    width = len(rows[0])
    return {
        "type": "table",
        "column_settings": [{"align": "right" if index in right else "left"} for index in range(width)],
        "rows": [[raw(cell) for cell in row] for row in rows],
    }


def message(at: float, user: str, text: str, blocks: list[Json] | None = None, **more: Any) -> Json:
    return {
        "ts": ts(at),
        "user": user,
        "username": None,
        "bot": user == BOT,
        "text": text,
        "blocks": blocks or [],
        "attachments": [],
        "reply_count": len(more.get("replies", [])),
        "replies": [],
        "edited": False,
        "reactions": [],
        "files": [],
        "ephemeral": False,
        **more,
    }


RUNNING_TS = ts(0.5)
RESULT_TS = ts(3)
GATE_TS = ts(10)
HOSTILE_TS = ts(30)
ZOO_TS = ts(31)


def running(step: int = 2, elapsed: str = "0:41") -> Json:
    marks = ["✅" if n < step else "⏳" if n == step else "▫️" for n in range(1, 5)]
    names = ["Snapshot", "Probe", "Quick drill", "Cause check"]
    details = ["1.2 s · taken 14:02", "40 s of at most 2 min", "", ""]
    lines = [f"{mark} *{name}*   {detail}".rstrip() for mark, name, detail in zip(marks, names, details, strict=True)]
    text = f"Triage is running, step {step} of 4"
    return message(
        0.5,
        BOT,
        text,
        [
            header(f"⏳ Triage RUNNING · step {step} of 4"),
            context(f"started by <@{ONCALL}> · <#{INCIDENT}> · run `r-8f2` · {elapsed}"),
            section("\n".join(lines)),
            actions("run", button("Stop", "triage.stop")),
        ],
    )


def triage_result() -> Json:
    rows = [
        ["Endpoint", "p95", "5xx", "network", "unknown"],
        ["/api/chat", "14.3 s 🔴", "3.1 % ✅", "0.4 % ✅", "2 % ✅"],
        ["/api/gmail/push", "0.6 s ✅", "0 % ✅", "0 % ✅", "0 % ✅"],
        ["/api/whatsapp/webhook", "not run ❔", "–", "–", "–"],
    ]
    return message(
        3,
        BOT,
        "FAIL: outbound provider. Circuit openrouter_chat_primary is open. Next: playbook B, step 1.",
        [
            header("🔴 FAIL: outbound provider"),
            section(
                "Circuit `openrouter_chat_primary` is *open* since 13:57; chat falls back to the secondary "
                "route, which answers.",
                fields=[
                    mrkdwn("*Circuits*\n1 open of 6"),
                    mrkdwn("*Bulkheads*\npeak 62 %"),
                    mrkdwn("*Rate limit*\n14 blocked / 15 min"),
                    mrkdwn("*Tool queue*\n4 s oldest"),
                ],
            ),
            table(rows, right=(1, 2, 3, 4)),
            section(
                "*Next:* playbook B, step 1: check provider status and quota.\n"
                "_Not done:_ WhatsApp probe (auth refused). Region: single."
            ),
            actions(
                "next",
                button("Start playbook B", "triage.playbook", style="primary"),
                button("Run again", "triage.rerun"),
                button("Details", "triage.details"),
                overflow("triage.more", "Add note", "Copy commands", "Post-incident checklist", "Not useful"),
            ),
            context(
                f"<@{ONCALL}> · <!date^{START}^{{time}}|14:02>–<!date^{START + 180}^{{time}}|14:05> · run `r-8f2` · "
                "snapshot `a91c` · <http://127.0.0.1/runbook#b|runbook §B>"
            ),
        ],
        reactions=[{"name": "eyes", "users": [RELMGR, LEAD]}, {"name": "white_check_mark", "users": [ONCALL]}],
        reply_count=3,
        replies=[
            message(
                3.1,
                BOT,
                "Why outbound",
                [
                    {
                        "type": "rich_text",
                        "elements": [
                            {
                                "type": "rich_text_section",
                                "elements": [
                                    {"type": "text", "text": "Why “outbound”", "style": {"bold": True}},
                                    {"type": "text", "text": ": one rule fired, three did not.\n"},
                                ],
                            },
                            {
                                "type": "rich_text_list",
                                "style": "bullet",
                                "elements": [
                                    {
                                        "type": "rich_text_section",
                                        "elements": [
                                            {"type": "emoji", "name": "red_circle"},
                                            {"type": "text", "text": " circuit open and traffic failed within 5 min"},
                                        ],
                                    },
                                    {
                                        "type": "rich_text_section",
                                        "elements": [
                                            {"type": "emoji", "name": "white_check_mark"},
                                            {"type": "text", "text": " no bulkhead at its cap ("},
                                            {"type": "text", "text": "peak 62 %", "style": {"code": True}},
                                            {"type": "text", "text": ")"},
                                        ],
                                    },
                                ],
                            },
                            {
                                "type": "rich_text_preformatted",
                                "elements": [
                                    {"type": "text", "text": "npx convex run reliability:snapshot '{}' --prod"}
                                ],
                            },
                        ],
                    }
                ],
            ),
            message(
                3.2,
                BOT,
                "Raw snapshot",
                files=[
                    {
                        "id": "F1",
                        "name": "reliability-snapshot-140211.json",
                        "url": "/files/F1/reliability-snapshot-140211.json",
                        "mimetype": "application/json",
                        "size": 18432,
                    }
                ],
            ),
            message(4.6, RELMGR, "Provider status page says *degraded* since 13:55. Holding the release."),
        ],
    )


def gate() -> Json:
    return message(
        10,
        BOT,
        "Release gate PASSED for 2026.11.23-2 and waits for approval by a release manager.",
        [
            header("⏳ Release gate PASSED · waiting for approval"),
            section("*Release* 2026.11.23-2 (`4c1e9ab`) · risk *high* → *standard*, 20 min, limit 150"),
            table(
                [
                    ["Check", "value", "limit", "verdict"],
                    ["chat p95", "9.8 s", "12 s", "✅"],
                    ["chat 5xx", "1.9 %", "5 %", "✅"],
                    ["gmail p95", "1.2 s", "1.5 s", "⚠️ within 20 % of limit"],
                    ["circuits open", "0", "0", "✅"],
                ],
                right=(1, 2),
            ),
            section(
                "*Against the last release:* chat p95 +0.7 s, 5xx −0.2\n"
                f"*Needs:* 1 of <!subteam^S0RELMGR|@release-managers>, not <@{ONCALL}> (started it)"
            ),
            actions(
                "gate",
                button("Approve…", "gate.approve", style="primary"),
                button(
                    "Reject…",
                    "gate.reject",
                    style="danger",
                    confirm=confirm(
                        "Reject gate g-77?",
                        "Release `2026.11.23-2` stays *blocked* on production.",
                        "Reject",
                        "danger",
                    ),
                ),
                button("Report", "gate.report", url="http://127.0.0.1/report"),
                overflow("gate.more", "Waive a scenario…", "Copy commands"),
            ),
            context(f"gate `g-77` · report sha `3f0d…` · expires 15:30 · run by <@{ONCALL}>"),
        ],
    )


def tuning() -> Json:
    return message(
        14,
        BOT,
        "Tuning proposal for BULKHEAD_OR_PRI_MAX_CONCURRENT: 40 to 48. Needs another person.",
        [
            header("⚠️ Tuning proposal · playbook C · production"),
            section("`BULKHEAD_OR_PRI_MAX_CONCURRENT`\n*40  →  48*   (+20 %, limit for this knob 20 %)"),
            section(
                "*Why:* 3 snapshots in 12 min above 95 % active leases; 503 with `Retry-After` on 6 % of chat calls\n"
                "*Checks:* ✅ one change set at a time  ✅ concurrency before limits  ✅ no protection switched off  "
                "✅ snapshot before (a91c)\n*Undo:* back to 40, same button, no approval needed"
            ),
            actions(
                "tune",
                button("Approve…", "tuning.approve", style="primary"),
                button("Change value…", "tuning.change"),
                button(
                    "Withdraw",
                    "tuning.withdraw",
                    style="danger",
                    confirm=confirm("Withdraw c-41?", "40 stays in force on *production*.", "Withdraw", "danger"),
                ),
            ),
            context(f"proposed by <@{ONCALL}> · needs 1 other person · run `r-8f2`"),
        ],
    )


def checklist() -> Json:
    def item(text: str, *accessory: Json) -> Json:
        return section(text, **({"accessory": accessory[0]} if accessory else {}))

    return message(
        20,
        BOT,
        "Post-incident checklist of #inc-42-chat-slow: 2 of 5 done.",
        [
            header("Post-incident checklist · #inc-42-chat-slow · 2 of 5 done"),
            context(f"owner <@{ONCALL}> · due tomorrow 12:00 · incident 14:02–15:10"),
            item("☑ *Timeline and affected endpoints*\n23 entries · /api/chat"),
            item("☑ *Artifacts*\nsnapshots 4 · drill q-55 · gate 77"),
            item("☐ *Sentry links*\n0 so far", button("Add", "checklist.add")),
            item("☐ *Phase-log entry*\nnew mitigation used: yes", button("Draft", "checklist.draft")),
            item("☐ *SLO baseline and runbook*\n1 threshold tuned", button("Open diff", "checklist.diff")),
            {"type": "divider"},
            actions(
                "close",
                button("Close incident…", "incident.close", style="primary"),
                button("Export", "checklist.export"),
                button("Hand over…", "incident.handoff"),
                overflow("checklist.more", "Snooze 15 min", "Not needed, because…"),
            ),
        ],
    )


HOSTILE = (
    "<script>window.broken = 1</script> <img src=x onerror=window.broken=2> "
    "<javascript:window.broken=3|click me> &lt;b onmouseover=window.broken=4&gt;bold&lt;/b&gt; "
    '<http://127.0.0.1/"onclick="window.broken=5|a link> *<svg onload=window.broken=6>* '
    '`<iframe srcdoc=x>` <!channel|<img src=x onerror=window.broken=7>> :smile:" onload=window.broken=8'
)


def hostile() -> Json:
    """Outside text that nobody escaped: the page must show it, never run it."""
    return message(
        30,
        BOT,
        HOSTILE,
        [
            header(HOSTILE[:140]),
            section(HOSTILE, fields=[mrkdwn(HOSTILE)]),
            table([[HOSTILE[:60], "<b>n</b>"], ["<img src=x onerror=window.broken=9>", "1"]]),
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "text", "text": HOSTILE},
                            {"type": "link", "url": "javascript:window.broken=10", "text": "run"},
                            {"type": "user", "user_id": "<img src=x>"},
                        ],
                    }
                ],
            },
            {"type": "markdown", "text": "[x](javascript:window.broken=11) **<img src=x onerror=window.broken=12>**"},
            {"type": "<img src=x onerror=window.broken=13>"},
            actions(
                "hostile",
                button("<img src=x onerror=window.broken=14>", "bad.link", url="javascript:window.broken=15"),
            ),
            {"type": "image", "image_url": "javascript:window.broken=16", "alt_text": '"><script>1</script>'},
        ],
        attachments=[{"color": "red;background:url(javascript:1)", "title": "<b>t</b>", "text": HOSTILE}],
        files=[
            {
                "id": "F2",
                "name": "<img src=x>.png",
                "url": "javascript:window.broken=17",
                "mimetype": "image/png",
                "size": 1,
            }
        ],
        username="<script>window.broken = 18</script>",
    )


def zoo() -> Json:
    """Every control a message may carry, and blocks the page knows only by name."""
    options = [
        {"text": plain("Low :turtle:"), "value": "low"},
        {"text": plain("Medium"), "value": "medium", "description": plain("60 a second")},
        {"text": plain("Spike"), "value": "spike", "description": plain("120 a second")},
    ]
    return message(
        31,
        BOT,
        "Every control once.",
        [
            section(
                "Choose a *profile*",
                block_id="profile",
                accessory={
                    "type": "static_select",
                    "action_id": "drill.profile",
                    "placeholder": plain("Profile"),
                    "options": options,
                },
            ),
            actions(
                "zoo",
                {"type": "datepicker", "action_id": "zoo.date", "initial_date": "2026-11-23"},
                {"type": "radio_buttons", "action_id": "zoo.radio", "options": options, "initial_option": options[1]},
                {"type": "checkboxes", "action_id": "zoo.boxes", "options": options},
            ),
            context(
                "*bold* _italic_ ~struck~ `code` :hourglass_flowing_sand: <!here> BULKHEAD_OR_PRI_MAX a*b*c 2 * 3 * 4"
            ),
            section(
                "&gt; quoted &amp; calm\n&gt; second line\n• first\n• second\n1. one\n2. two\n"
                "```\nnpx convex run reliability:snapshot '{}' --prod\n```\nafter https://example.test/a?b=c. end"
            ),
            {
                "type": "table",
                "column_settings": [{"align": "left"}, {"align": "right"}, {"align": "center"}],
                "rows": [
                    [raw("knob"), raw("value"), raw("state")],
                    [
                        {
                            "type": "rich_text",
                            "elements": [
                                {
                                    "type": "rich_text_section",
                                    "elements": [
                                        {"type": "text", "text": "CIRCUIT_OR_COOLDOWN_MS", "style": {"code": True}}
                                    ],
                                }
                            ],
                        },
                        {"type": "raw_number", "value": 30000},
                        raw(":white_check_mark:"),
                    ],
                ],
            },
            {
                "type": "markdown",
                "text": "## Report\n**3** of `4` checks\n\n1. first\n2. second\n\n> calm\n\n| a | b |\n|---|---|\n| 1 | 2 |",
            },
            {
                "type": "image",
                "image_url": "/files/F3/p95.svg",
                "alt_text": "chat p95 over 20 minutes",
                "title": plain("Chat p95"),
            },
            {"type": "image", "image_url": "https://elsewhere.test/x.png", "alt_text": "a chart"},
            {"type": "data_visualization", "title": "later"},
            actions("odd", {"type": "hologram", "action_id": "zoo.odd"}),
        ],
    )


def modal() -> Json:
    """The gate's approval form (ux.md, sketch 2)."""
    return {
        "id": "V1",
        "type": "modal",
        "callback_id": "gate.decide",
        "title": plain("Approve gate g-77"),
        "submit": plain("Approve"),
        "close": plain("Cancel"),
        "blocks": [
            {
                "type": "alert",
                "block_id": "al",
                "level": "warning",
                "text": mrkdwn("*gmail p95* is within 20 % of its limit."),
            },
            section("Release *2026.11.23-2* (`4c1e9ab`) goes to *production*.", block_id="what"),
            {
                "type": "input",
                "block_id": "read",
                "label": plain("Warnings"),
                "element": {
                    "type": "checkboxes",
                    "action_id": "read",
                    "options": [{"text": mrkdwn("I read: gmail p95 *1.2 s* of 1.5 s"), "value": "gmail"}],
                },
            },
            {
                "type": "input",
                "block_id": "reason",
                "label": plain("Reason"),
                "hint": plain("Goes into the audit log with your name."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "reason",
                    "multiline": True,
                    "placeholder": plain("Why this is fine"),
                },
            },
            {
                "type": "input",
                "block_id": "minutes",
                "optional": True,
                "label": plain("Watch for (minutes)"),
                "element": {
                    "type": "number_input",
                    "action_id": "minutes",
                    "is_decimal_allowed": False,
                    "min_value": "5",
                    "max_value": "60",
                    "initial_value": "20",
                },
            },
            {
                "type": "input",
                "block_id": "risk",
                "optional": True,
                "label": plain("Risk"),
                "element": {
                    "type": "static_select",
                    "action_id": "risk",
                    "options": [{"text": plain("High"), "value": "high"}, {"text": plain("Low"), "value": "low"}],
                    "initial_option": {"text": plain("High"), "value": "high"},
                },
            },
        ],
    }


def home() -> Json:
    return {
        "id": "VH",
        "blocks": [
            header("What waits for you"),
            section(
                "⏳ *Gate g-77* waits for a release manager\nexpires 15:30",
                block_id="hw",
                accessory=button("Open", "home.open", style="primary"),
            ),
            section("☐ *Checklist* of #inc-42-chat-slow · 2 of 5 done", accessory=button("Open", "home.checklist")),
            {"type": "divider"},
            header("Production"),
            section("🔴 FAIL: outbound provider · 4 min old"),
            context(f"<@{ONCALL}> · responder · may run triage, probe, drill"),
        ],
    }


def refusal() -> Json:
    return {
        "id": "E1",
        "ts": ts(11),
        "user_to": ONCALL,
        "channel": INCIDENT,
        "text": "gate.approve needs release manager. Nothing was changed.",
        "blocks": [
            section(
                "🚫 `gate.approve` needs *release manager* (<!subteam^S0RELMGR|@release-managers>). You are: responder. "
                "Nothing was changed."
            ),
            actions("no", button("Ask them", "rights.ask"), button("My rights", "rights.mine")),
        ],
    }


def people() -> list[Json]:
    def person(user: str, name: str, kind: str, role: str) -> Json:
        return {"id": user, "name": name, "display": name, "kind": kind, "role_hint": role}

    return [
        person(ONCALL, "oncall", "member", "responder"),
        person(RELMGR, "relmgr", "member", "release manager"),
        person(LEAD, "lead", "member", "manager, admin"),
        person(VISITOR, "visitor", "member", "no role"),
        person(GUEST, "guest", "guest", "help and stop only"),
        person(STRANGER, "stranger", "stranger", "help and stop only"),
        {**person(BOT, "sendcat", "bot", ""), "display": "Sendcat"},
    ]


def channels() -> list[Json]:
    def channel(channel_id: str, name: str, kind: str, topic: str, unread: int = 0, member: bool = True) -> Json:
        return {"id": channel_id, "name": name, "kind": kind, "member": member, "topic": topic, "unread": unread}

    return [
        channel(INCIDENT, "inc-42-chat-slow", "public", "Chat is slow since 13:57 · owner oncall"),
        channel(RELEASES, "releases", "public", "Gates and canaries", unread=2),
        channel(OPS, "ops-alerts", "private", "What the watch noticed"),
        channel("C0GEN", "general", "public", "", member=False),
        channel(DIRECT, "Sendcat", "dm", ""),
    ]


def app() -> Json:
    hint = (
        "triage | status | snapshot [--diff] | probe | drill --quick=true | diagnose | inspect | owners | "
        "gate --profile=standard --minutes=20 | tune KNOB=VALUE | stop [run] | doctor | help [command]"
    )
    return {
        "id": "A0SENDCAT",
        "name": "Sendcat",
        "bot_user_id": BOT,
        "commands": [{"command": "/sendcat", "description": "Sendcat's reliability runbook", "usage_hint": hint}],
        "shortcuts": [
            {
                "name": "Add to timeline",
                "type": "message",
                "callback_id": "timeline.add",
                "description": "Keep this message",
            },
            {
                "name": "Start Sendcat triage",
                "type": "global",
                "callback_id": "triage.start",
                "description": "Where you are",
            },
        ],
        "connected": True,
        "mode": "socket",
    }


def conversation() -> list[Json]:
    """The incident channel in the order it happened."""
    return [
        message(-6, LEAD, "Chat feels slow for me and two customers wrote in. Anyone looking? :eyes:"),
        message(-5.5, ONCALL, f"Looking. <@{BOT}> is invited, starting triage."),
        message(
            -5.2, ONCALL, "Sentry: <http://127.0.0.1/issue|CHAT-1182>, p95 above *14 s* since `13:57`", edited=True
        ),
        running(),
        triage_result(),
        gate(),
        tuning(),
        checklist(),
    ]
