"""Every text of the dashboard, by name: a language that lacks one does not start."""

from collections.abc import Mapping

import msgspec


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one language; `{name}` stands for what is filled in."""

    # shell
    navigation: str
    skip: str
    boilers: str
    language: str
    overview: str
    trends: str
    batches: str
    alarms: str
    disclaimer: str
    loading: str
    link_live: str
    link_late: str
    link_stale: str
    link_lost: str
    link_waiting: str
    link_no_server: str
    stale_no_data: str
    stale_no_link: str
    stale_no_server: str
    stale_since: str
    close: str
    cancel: str
    store_failed: str
    # data
    data_live: str
    data_late: str
    data_stale: str
    data_none: str
    bad_quality: str
    normal_range: str
    mawp: str
    # alarms
    no_alarms: str
    priority_1: str
    priority_2: str
    priority_3: str
    priority_4: str
    state_UNACK: str  # noqa: N815 - the names of the states are ISA-18.2's
    state_ACKED: str  # noqa: N815
    state_RTN_UNACK: str  # noqa: N815
    event_UNACK: str  # noqa: N815
    event_ACKED: str  # noqa: N815
    event_RTN_UNACK: str  # noqa: N815
    event_NORMAL: str  # noqa: N815
    acknowledge: str
    acknowledge_title: str
    acknowledged_by: str
    operator_name: str
    note_optional: str
    note: str
    sending: str
    unconfirmed: str
    not_sent: str
    operator_needed: str
    active_alarms: str
    journal: str
    priority: str
    state: str
    boiler: str
    alarm: str
    value: str
    limit: str
    since: str
    at_time: str
    transition: str
    who: str
    all_boilers: str
    all_priorities: str
    all_states: str
    search: str
    last_hours: str
    last_days: str
    no_active_alarms: str
    no_events: str
    more_events: str
    export_csv: str
    retroactive: str
    stale_reading: str
    system: str
    system_alarms: Mapping[str, str]
    system_other: str
    # overview
    no_boilers: str
    burner: str
    burner_states: tuple[str, ...]
    burner_code: str
    flame: str
    flame_on: str
    flame_off: str
    firing_rate: str
    total_steam: str
    total_load: str
    total_running: str
    total_running_value: str
    # trends
    pens: str
    live: str
    span_10m: str
    span_1h: str
    span_8h: str
    span_24h: str
    span_7d: str
    earlier: str
    later: str
    zoom_out: str
    drag_to_zoom: str
    pens_limit: str
    no_data: str
    now: str
    # batches
    previous_day: str
    next_day: str
    today: str
    minutes_written: str
    minutes_missing: str
    rows: str
    messages: str
    quarantined: str
    lag_longest: str
    flushes: str
    bytes: str
    batch: str
    last_hour: str
    per_minute: str
    legend_none: str
    legend_future: str
    legend_few: str
    legend_many: str
    legend_late: str
    legend_quarantined: str
    pick_minute: str
    no_batch: str
    batch_zone: str
    late_over: str
    batches_counts: str
