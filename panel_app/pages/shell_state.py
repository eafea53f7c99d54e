"""What surrounds the pages: navigation, alarm banner, freshness of the data."""

import msgspec

from bridge.plant import Plant
from panel_app.data.hub import LiveSnapshot
from panel_app.i18n import LANGUAGES, Translator
from panel_app.i18n.texts import Texts
from panel_app.live.acknowledging import Pending
from panel_app.pages.alarm_rows import AlarmRow, alarm_rows, alarm_title, boiler_title
from panel_app.pages.overview_state import Ages, Freshness, newest_us
from panel_app.route import PAGES, Route

_LANGUAGE_NAMES = {"pt-BR": ("PT", "Português"), "en": ("EN", "English")}


class PageLink(msgspec.Struct, frozen=True, kw_only=True):
    """A page in the rail."""

    page: str
    label: str
    search: str


class BoilerLink(msgspec.Struct, frozen=True, kw_only=True):
    """A boiler in the rail."""

    id: str
    title: str
    site: str
    search: str


class LanguageChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A language to choose."""

    code: str
    short: str
    name: str


class ShellState(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell is built from; `zone` is the time zone of its clock."""

    lang: str
    texts: Texts
    page: str
    boiler: str
    title: str
    subtitle: str
    zone: str
    pages: list[PageLink]
    boilers: list[BoilerLink]
    languages: list[LanguageChoice]
    alarms_search: str
    late_ms: int
    stale_ms: int
    silent_ms: int


class LinkLive(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the feed is connected, since when (epoch ms)."""

    connected: bool
    since: int


class SiteLive(msgspec.Struct, frozen=True, kw_only=True):
    """When a site's newest values were put together (epoch ms)."""

    site: str
    at: int


class BoilerLive(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh a boiler's values are."""

    id: str
    state: Freshness


class PendingLive(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement on its way, or why it failed."""

    boiler: str
    definition: str
    title: str
    error: str


class ShellLive(msgspec.Struct, frozen=True, kw_only=True):
    """What changes around the pages."""

    now: int
    link: LinkLive
    sites: list[SiteLive]
    boilers: list[BoilerLive]
    alarms: list[AlarmRow]
    pending: list[PendingLive]
    notice: str


def shell_state(plant: Plant, translator: Translator, route: Route, ages: Ages) -> ShellState:
    """The shell around one page."""
    texts, lang = translator.texts, translator.language
    labels = {name: getattr(texts, name) for name in PAGES}
    boiler = plant.boilers.get(route.boiler)
    shown = boiler if route.page in ("trends", "alarms") else None
    title = labels[route.page]
    subtitle = ""
    if shown is not None:
        subtitle = f"{shown.title or shown.name} · {_site_title(plant, shown.site)}"
    sites = list(plant.sites.values())
    site = plant.sites[shown.site] if shown else (sites[0] if sites else None)
    return ShellState(
        lang=lang,
        texts=texts,
        page=route.page,
        boiler=route.boiler if route.page == "trends" else "",
        title=title,
        subtitle=subtitle,
        zone="UTC" if site is None else site.time_zone,
        pages=[
            PageLink(page=name, label=labels[name], search=Route(page=name, lang=lang).search)
            for name in PAGES
        ],
        boilers=[
            BoilerLink(
                id=one.name,
                title=one.title or one.name,
                site=_site_title(plant, one.site),
                search=Route(page="trends", boiler=one.name, lang=lang).search,
            )
            for one in plant.file.boilers
        ],
        languages=[
            LanguageChoice(code=code, short=_LANGUAGE_NAMES[code][0], name=_LANGUAGE_NAMES[code][1])
            for code in LANGUAGES
        ],
        alarms_search=Route(page="alarms", lang=lang).search,
        late_ms=round(ages.late_s * 1000),
        stale_ms=round(ages.stale_s * 1000),
        silent_ms=round(ages.silent_s * 1000),
    )


def shell_live(
    plant: Plant,
    snapshot: LiveSnapshot,
    translator: Translator,
    pending: list[Pending],
    *,
    notice: str,
    now_us: int,
    ages: Ages,
) -> ShellLive:
    """The newest around the pages at a moment (epoch µs)."""
    return ShellLive(
        now=now_us // 1000,
        link=LinkLive(connected=snapshot.link.connected, since=snapshot.link.since_us // 1000),
        sites=[
            SiteLive(site=name, at=view.live.at_us // 1000)
            for name, view in snapshot.sites.items()
            if name in plant.sites
        ],
        boilers=[
            BoilerLive(
                id=one.name,
                state=ages.freshness(newest_us(snapshot.boiler(one.site, one.name)), now_us),
            )
            for one in plant.file.boilers
        ],
        alarms=alarm_rows(snapshot, plant, translator),
        notice=notice,
        pending=[
            PendingLive(
                boiler=one.boiler,
                definition=one.definition,
                title=f"{boiler_title(plant, one.boiler, translator)}: "
                f"{alarm_title(plant, one.boiler, one.definition, translator)}",
                error=one.error,
            )
            for one in pending
        ],
    )


def _site_title(plant: Plant, name: str) -> str:
    site = plant.sites[name]
    return site.title or site.name
