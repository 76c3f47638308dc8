"""What ``sendcat doctor`` looks at in Slack: tokens, scopes, channels - each with what to do."""

from __future__ import annotations

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Config
from bot.redact import inert
from bot.slack.logs import quiet_logger
from bot.slack.manifest import manifest
from bot.world import Finding

WITHIN_S = 5


async def check(config: Config) -> list[Finding]:
    """Look at the workspace with the configured tokens; changes nothing, posts nothing."""
    slack = config.slack
    if slack.bot_token is None:
        return [
            Finding("slack: bot token", "warn", f"{slack.bot_token_env} is not set", "the terminal works without it")
        ]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN_S)) as session:
        client = AsyncWebClient(
            token=slack.bot_token.get_secret_value(),
            base_url=slack.api_url,
            session=session,
            logger=quiet_logger("doctor"),
            retry_handlers=[],
        )
        try:
            answer = await client.auth_test()
        except SlackApiError as error:
            code = inert(error.response.get("error", "refused"), 60)
            return [
                Finding(
                    "slack: bot token", "bad", f"Slack refuses it: {code}", "reinstall the app, then set the new token"
                )
            ]
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            return [
                Finding(
                    "slack: reach", "bad", f"no answer: {type(error).__name__}", f"can this host reach {slack.api_url}?"
                )
            ]
        found = [Finding("slack: bot token", "ok", f"workspace {inert(answer.get('team'), 60)}")]
        found += _team(config, str(answer.get("team_id")))
        found += _scopes(answer.headers.get("x-oauth-scopes") or answer.headers.get("X-OAuth-Scopes") or "")
        for channel in sorted(slack.channels):
            found.append(await _channel(client, channel))
        found += await _transport(config, client)
    return found


def _team(config: Config, team: str) -> list[Finding]:
    wanted = config.slack.team_id
    if wanted is not None and wanted != team:
        return [
            Finding(
                "slack: workspace", "bad", f"the token is for {team}, not {wanted}", "set slack.team_id or the token"
            )
        ]
    return []


def _scopes(header: str) -> list[Finding]:
    have = {scope.strip() for scope in header.split(",") if scope.strip()}
    if not have:
        return [Finding("slack: scopes", "skipped", "Slack did not say which scopes the token has")]
    from bot.commands import ALL

    scopes = manifest(ALL, url=None)["oauth_config"]["scopes"]
    lacking = [scope for scope in scopes["bot"] if scope not in have]
    optional = [scope for scope in scopes.get("bot_optional", []) if scope not in have]
    if lacking:
        return [
            Finding(
                "slack: scopes", "bad", f"missing: {', '.join(lacking)}", "apply manifest.yml and reinstall the app"
            )
        ]
    if optional:
        return [
            Finding("slack: scopes", "warn", f"optional ones missing: {', '.join(optional)}", "reinstall to grant them")
        ]
    return [Finding("slack: scopes", "ok", f"{len(have)} granted")]


async def _channel(client: AsyncWebClient, channel: str) -> Finding:
    try:
        info = (await client.conversations_info(channel=channel)).get("channel") or {}
    except SlackApiError as error:
        code = inert(error.response.get("error", "refused"), 60)
        return Finding(f"slack: channel {channel}", "bad", code, "correct the id in sendcat.toml, or invite the bot")
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        return Finding(f"slack: channel {channel}", "warn", f"no answer: {type(error).__name__}", "try again")
    name = f"#{inert(info.get('name'), 40)}"
    if not info.get("is_member"):
        return Finding(
            f"slack: channel {channel}", "bad", f"{name}: the bot is not a member", "in the channel: /invite @sendcat"
        )
    return Finding(f"slack: channel {channel}", "ok", name)


async def _transport(config: Config, client: AsyncWebClient) -> list[Finding]:
    """Socket Mode needs an app-level token, HTTP mode a signing secret; one of them is enough."""
    slack = config.slack
    found = []
    if slack.app_token is not None:
        try:
            await client.apps_connections_open(app_token=slack.app_token.get_secret_value())
            found.append(Finding("slack: socket mode", "ok", "connections can be opened"))
        except SlackApiError as error:
            code = inert(error.response.get("error", "refused"), 60)
            found.append(Finding("slack: socket mode", "bad", code, "make an app-level token with connections:write"))
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            found.append(Finding("slack: socket mode", "warn", f"no answer: {type(error).__name__}", "try again"))
    if slack.signing_secret is not None:
        found.append(Finding("slack: http mode", "ok", "a signing secret is set"))
    if not found:
        names = f"{slack.app_token_env} or {slack.signing_secret_env}"
        found.append(Finding("slack: transport", "bad", f"neither {names} is set", "set one of them"))
    return found
