"""The snapshot's `config` section: the effective values of the knobs, as the running code uses them.

Names: contract/convex-functions.md section 3. A stored value that is out of range shows here as the
application's own default, so only this section proves what is in force.
"""

from __future__ import annotations

from slo.wire import Count, Millis, Number, Wire


class RateLimit(Wire):
    """One limiter: at most `max` per key in `window_ms`."""

    max: Count
    window_ms: Millis


class CircuitConfig(Wire):
    """A circuit opens after `threshold` failures and refuses for `cooldown_ms`."""

    threshold: Count
    cooldown_ms: Millis


class BulkheadConfig(Wire):
    """At most `max_concurrent` leases, each forgotten after `lease_ttl_ms`."""

    max_concurrent: Count
    lease_ttl_ms: Millis


class AdmissionConfig(Wire):
    enabled: bool
    shadow_mode: bool
    redis_url: str = ""
    redis_token: str = ""
    key_prefix: str = ""
    enforce_user_in_flight: bool
    enforce_global_in_flight: bool
    enforce_global_message_rate: bool
    enforce_global_tool_rate: bool
    user_max_in_flight: Count
    global_max_in_flight: Count
    global_max_messages_per_second: Number
    global_max_tool_calls_per_second: Number
    estimated_tool_calls_per_message: Number
    ticket_ttl_ms: Millis
    retry_after_ms: Millis
    retry_after_jitter_pct: Number
    allowed_event_sample_pct: Number


class ChatGatewayConfig(Wire):
    enabled: bool
    shadow_mode: bool
    admission_enforce: bool
    tool_queue_enforce: bool
    provider_failover_enabled: bool
    fail_closed_on_redis_error: bool
    health_endpoint_enabled: bool


class ChatProviderRoutes(Wire):
    primary_timeout_ms: Millis
    primary_retries: Count
    secondary_timeout_ms: Millis
    secondary_retries: Count
    fast_primary_model: str
    fast_secondary_model: str
    agent_primary_model: str
    agent_secondary_model: str
    default_model_class: str


class RegionTopology(Wire):
    """Region posture: where this deployment runs and what it is meant to be part of."""

    region_id: str
    topology_mode: str
    readiness_only: bool


class ToolCacheConfig(Wire):
    web_search_ttl_ms: Millis
    product_search_ttl_ms: Millis


class ToolCacheNamespaces(Wire):
    web_search: str
    product_search: str


class ToolJobsConfig(Wire):
    max_jobs_per_run: Count
    lease_ms: Millis
    wait_timeout_ms: Millis
    poll_interval_ms: Millis
    max_attempts: Count
    retry_base_ms: Millis
    retention_ms: Millis
    claim_scan_size: Count
    max_running_by_tool: dict[str, Count]
    max_queued_by_tool: dict[str, Count]
    max_running_by_qos: dict[str, Count]
    dead_letter_retention_ms: Millis


class ToolQueueAlertsConfig(Wire):
    enabled: bool
    window_minutes: Number
    cooldown_ms: Millis
    max_queued_jobs: Count
    max_dead_letter_jobs: Count
    max_oldest_queued_age_ms: Millis
    max_oldest_running_age_ms: Millis


class Config(Wire):
    """The effective values of the knobs, as the running code uses them (not what is stored)."""

    rate_limits: dict[str, RateLimit]
    circuits: dict[str, CircuitConfig]
    bulkheads: dict[str, BulkheadConfig]
    admission: AdmissionConfig
    chat_gateway: ChatGatewayConfig
    chat_provider_routes: ChatProviderRoutes
    region_topology: RegionTopology
    tool_cache: ToolCacheConfig
    tool_cache_namespaces: ToolCacheNamespaces
    tool_jobs: ToolJobsConfig
    tool_queue_alerts: ToolQueueAlertsConfig
