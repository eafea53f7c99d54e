const ICONS = {
  overview: "M3 3h8v8H3zM13 3h8v8h-8zM3 13h8v8H3zM13 13h8v8h-8z",
  trends: "M3 3v18h18M6 16l4-6 4 3 6-8",
  batches: "M4 5h16v15H4zM4 10h16M9 3v4M15 3v4M8 14h2M12 14h2M16 14h.5M8 17h2M12 17h2",
  alarms: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4zM10 21.5h4M12 5V2.5",
}

function icon(name) {
  return h("svg:svg", { viewBox: "0 0 24 24", class: "st-icon", "aria-hidden": "true" },
    h("svg:path", { d: ICONS[name] || "" }))
}

function rail(state) {
  const pages = state.pages.map((page) => {
    const node = link(page.search, {
      class: "st-rail-page", "data-page": page.page,
      "aria-current": page.page === state.page ? "page" : null,
    }, icon(page.page), h("span", { class: "st-rail-label" }, page.label))
    const count = h("span", { class: "st-rail-count" })
    if (page.page === "alarms") node.append(count)
    return { page: page.page, node, count }
  })
  const boilers = state.boilers.map((boiler) => {
    const mark = h("span", { class: "st-rail-mark" })
    const dot = h("span", { class: "st-rail-dot" })
    const node = link(boiler.search, {
      class: "st-rail-boiler", "data-boiler": boiler.id, title: boiler.site,
      "aria-current": boiler.id === state.boiler ? "true" : null,
    }, dot, h("span", { class: "st-rail-label" }, boiler.title), mark)
    return { id: boiler.id, node, mark, dot }
  })
  const node = h("nav", { class: "st-rail", "aria-label": state.texts.navigation },
    h("div", { class: "st-brand" },
      h("svg:svg", { viewBox: "0 0 28 28", class: "st-logo", "aria-hidden": "true" },
        h("svg:path", { d: "M4 13.5a10 10 0 0 0 20 0z", class: "st-logo-water" }),
        h("svg:circle", { cx: 14, cy: 14, r: 10.5, class: "st-logo-drum" }),
        h("svg:path", { d: "M9 9.5c1.6-1.4 3.4 1.4 5 0s3.4 1.4 5 0", class: "st-logo-steam" })),
      h("span", { class: "st-brand-name" }, "Steam")),
    h("div", { class: "st-rail-pages" }, ...pages.map((page) => page.node)),
    h("div", { class: "st-rail-head" }, state.texts.boilers),
    h("div", { class: "st-rail-boilers" }, ...boilers.map((boiler) => boiler.node)))
  return { node, pages, boilers }
}

function head(state, send) {
  const languages = state.languages.map((one) => h("button", {
    type: "button", class: "st-lang", lang: one.code, "data-lang": one.code, title: one.name,
    "aria-pressed": one.code === state.lang ? "true" : "false",
    on: { click: () => send({ type: "language", language: one.code }) },
  }, one.short))
  const light = h("span", { class: "st-link-dot" })
  const word = h("span", { class: "st-link-word" })
  const since = h("span", { class: "st-link-age" })
  const status = h("div", { class: "st-link", role: "status" }, light, word, since)
  const time = h("time", { class: "st-clock" })
  const day = h("span", { class: "st-day" })
  const zone = h("span", { class: "st-clock-zone", title: state.zone })
  const node = h("header", { class: "st-head" },
    h("div", { class: "st-titles" },
      h("h1", { class: "st-title" }, state.title),
      state.subtitle ? h("span", { class: "st-subtitle" }, state.subtitle) : null),
    h("div", { class: "st-head-end" }, status,
      h("div", { class: "st-when" }, time, zone, day),
      h("div", { class: "st-langs", role: "group", "aria-label": state.texts.language }, ...languages)))
  return { node, status, word, since, time, zone, day }
}

function banner(state) {
  const top = h("div", { class: "st-banner-top" })
  const counts = h("div", { class: "st-banner-counts" })
  const node = h("section", { class: "st-banner", "aria-label": state.texts.alarms }, top, counts)
  return { node, top, counts, shown: "" }
}

function operator() {
  try { return sessionStorage.getItem("steam-operator") || "" } catch { return "" }
}

function dialog(state, send) {
  const t = state.texts
  const what = h("p", { class: "st-dialog-what" })
  const response = h("p", { class: "st-dialog-response" })
  const name = h("input", {
    class: "st-input", name: "operator", required: true, maxlength: 64, autocomplete: "off",
  })
  const note = h("textarea", { class: "st-input", name: "note", rows: 3, maxlength: 500 })
  const form = h("form", { method: "dialog", class: "st-dialog-form" },
    h("h2", { class: "st-dialog-title" }, t.acknowledge_title), what, response,
    h("label", { class: "st-field" }, h("span", {}, t.operator_name), name),
    h("label", { class: "st-field" }, h("span", {}, t.note_optional), note),
    h("div", { class: "st-dialog-buttons" },
      h("button", { type: "button", class: "st-button", on: { click: () => node.close() } }, t.cancel),
      h("button", { type: "submit", class: "st-button st-primary st-confirm" }, t.acknowledge)))
  const node = h("dialog", { class: "st-dialog", "aria-label": t.acknowledge_title }, form)
  let alarm = null
  form.addEventListener("submit", () => {
    const by = name.value.trim()
    try { sessionStorage.setItem("steam-operator", by) } catch { /* private window */ }
    send({
      type: "acknowledge", boiler: alarm.boiler, definition: alarm.definition, by, note: note.value.trim(),
    })
  })
  const open = (asked) => {
    alarm = asked
    what.replaceChildren(glyph(asked.priority, asked.state), h("span", {},
      h("strong", {}, asked.title), h("br"), asked.boiler_title))
    setText(response, asked.response || "")
    response.hidden = !asked.response
    name.value = operator()
    note.value = ""
    node.showModal();
    (name.value ? note : name).focus()
  }
  return { node, open }
}

function condition(state, live, heardMs) {
  const t = state.texts
  if (serverNow() - heardMs > state.silent_ms) {
    return { level: "stale", word: t.link_no_server, since: heardMs, text: t.stale_no_server }
  }
  if (!live.link.connected) {
    return { level: "stale", word: t.link_lost, since: live.link.since || null, text: t.stale_no_link }
  }
  const newest = Math.max(0, ...live.sites.map((site) => site.at))
  if (!newest) return { level: "late", word: t.link_waiting, since: null, text: "" }
  const old = serverNow() - newest
  if (old > state.stale_ms) return { level: "stale", word: t.link_stale, since: newest, text: t.stale_no_data }
  if (old > state.late_ms) return { level: "late", word: t.link_late, since: newest, text: "" }
  return { level: "live", word: t.link_live, since: newest, text: "" }
}

function showAlarms(state, parts, live) {
  const t = state.texts
  const alarms = [...live.alarms].sort(byUrgency)
  const counts = [1, 2, 3, 4].map((p) => alarms.filter((a) => a.priority === p).length)
  const unacked = alarms.filter((a) => a.state !== "ACKED")
  for (const page of parts.rail.pages) {
    if (page.page !== "alarms") continue
    setText(page.count, alarms.length ? String(alarms.length) : "")
    setClass(page.count, "st-unacked", unacked.length > 0)
  }
  for (const boiler of parts.rail.boilers) {
    const own = alarms.filter((a) => a.boiler === boiler.id)
    const key = own.map((a) => a.priority + a.state).join()
    if (boiler.key !== key) {
      boiler.key = key
      boiler.mark.replaceChildren(...(own.length ? [glyph(own[0].priority, own[0].state), h("b", {}, String(own.length))] : []))
    }
    const word = live.boilers.find((b) => b.id === boiler.id)?.state || "none"
    setAttribute(boiler.dot, "data-state", word)
    boiler.dot.title = t[`data_${word}`]
  }
  const shown = JSON.stringify([alarms.slice(0, 1), counts, live.pending, state.lang])
  if (parts.banner.shown !== shown) {
    parts.banner.shown = shown
    drawBanner(state, parts.banner, alarms, counts, live)
  }
  const loudest = unacked.filter((a) => a.priority === 1).map((a) => `${a.boiler_title}: ${a.title}`).join(". ")
  setText(parts.spoken, loudest)
}

function drawBanner(state, box, alarms, counts, live) {
  const t = state.texts
  if (!alarms.length) {
    box.top.replaceChildren(h("span", { class: "st-quiet" }, t.no_alarms))
  } else {
    const top = alarms[0]
    const pending = live.pending.some((p) => p.boiler === top.boiler && p.definition === top.definition && !p.error)
    const reading = top.reading ? h("span", { class: "st-banner-reading" }, top.reading) : null
    const button = top.state === "ACKED" ? h("span", { class: "st-banner-state" }, t.state_ACKED)
      : h("button", {
        type: "button", class: "st-button st-small st-ack", disabled: pending,
        on: { click: () => window.dispatchEvent(new CustomEvent("steam-acknowledge", { detail: top })) },
      }, pending ? t.sending : t.acknowledge)
    box.top.replaceChildren(glyph(top.priority, top.state, t[`priority_${top.priority}`]),
      link(state.alarms_search, { class: "st-banner-link" },
        h("strong", {}, top.boiler_title), h("span", { class: "st-banner-title" }, top.title), reading),
      h("span", { class: "st-banner-age", "data-since": top.since }), button)
  }
  box.counts.replaceChildren(...counts.map((count, i) => h("span", {
    class: count ? "st-count" : "st-count st-none", "data-priority": i + 1, title: t[`priority_${i + 1}`],
  }, glyph(i + 1, count ? "ACKED" : "NONE"), h("b", {}, String(count)))))
}

function showFailures(state, parts, live) {
  const failed = live.pending.filter((one) => one.error)
  const key = JSON.stringify([failed, live.notice])
  if (parts.failures.key === key) return
  parts.failures.key = key
  const notice = live.notice ? [h("div", { class: "st-failure", role: "status" }, h("span", {}, live.notice))] : []
  parts.failures.replaceChildren(...notice, ...failed.map((one) => h("div", { class: "st-failure", role: "alert" },
    h("strong", {}, one.title), h("span", {}, one.error),
    h("button", {
      type: "button", class: "st-button st-small",
      on: { click: () => parts.send({ type: "dismiss", boiler: one.boiler, definition: one.definition }) },
    }, state.texts.close))))
}

/* A server that was restarted knows nothing of this page: once it answers again, load anew. */
let asking = false
async function seekServer(silentMs, state) {
  if (asking || silentMs < 2 * state.silent_ms) return
  asking = true
  try {
    const answer = await fetch("healthz", { cache: "no-store" })
    if (answer.ok) window.location.reload()
  } catch { /* still away: asked again in a while */ }
  setTimeout(() => { asking = false }, 4000)
}

function tick(state, parts, live, heardMs) {
  seekServer(serverNow() - heardMs, state)
  const now = serverNow()
  const is = condition(state, live, heardMs)
  setAttribute(parts.head.status, "data-state", is.level)
  setText(parts.head.word, is.word)
  setText(parts.head.since, is.since ? age(now - is.since) : "")
  setText(parts.head.time, moment(now, state.lang, state.zone, CLOCK))
  setText(parts.head.zone, offset(now, state.zone))
  setText(parts.head.day, moment(now, state.lang, state.zone, { weekday: "short", day: "2-digit", month: "short" }))
  const stale = is.level === "stale"
  parts.stale.hidden = !stale
  setText(parts.stale, stale ? `${is.text} ${is.since ? fill(state.texts.stale_since, { age: age(now - is.since) }) : ""}` : "")
  document.documentElement.classList.toggle("st-is-stale", stale)
  for (const node of parts.banner.node.querySelectorAll("[data-since]")) setText(node, age(now - Number(node.dataset.since)))
}

/* BokehJS drops the models of a page that was left once nothing has changed for 30 s, which
   here is never: it is told to look, or the models of every page ever shown would pile up. */
function forgetOldModels() {
  for (const shown of window.Bokeh?.documents ?? []) shown.freeze_all_models(() => {})
}

/* Unacknowledged alarms blink at 1 Hz, unless the operator's machine asks for less motion. */
function blink(on) {
  const style = document.documentElement.style
  if (on) {
    style.setProperty("--blink", "var(--ink)")
    style.setProperty("--blink-width", "3")
  } else if (style.getPropertyValue("--blink")) {
    style.removeProperty("--blink")
    style.removeProperty("--blink-width")
  }
}

export function render({ model, el }) {
  const send = (message) => model.send_msg(message)
  const root = h("div", { class: "st-shell" })
  let state, parts
  let live = { link: {}, sites: [], alarms: [], boilers: [], pending: [] }
  let heardMs = Date.now()
  let forgetting

  const build = () => {
    state = parse(model.state)
    if (!state.pages) return
    clearTimeout(forgetting)
    forgetting = setTimeout(forgetOldModels, 2000)
    document.documentElement.lang = state.lang
    document.documentElement.classList.add("st-started")
    document.title = `${state.title} · Steam`
    parts = {
      send, rail: rail(state), head: head(state, send), banner: banner(state), dialog: dialog(state, send),
      stale: h("div", { class: "st-stale", role: "alert", hidden: true }),
      failures: h("div", { class: "st-failures" }),
      spoken: h("div", { class: "st-spoken", "aria-live": "assertive" }),
    }
    root.replaceChildren(
      h("a", { class: "st-skip", href: "#main" }, state.texts.skip), parts.rail.node,
      h("div", { class: "st-top" }, parts.head.node, parts.banner.node, parts.stale),
      parts.dialog.node, parts.failures, parts.spoken)
    update()
  }
  const update = () => {
    const news = parse(model.live)
    if (!news.link || !parts) return
    live = news
    keepClock(live.now)
    heardMs = serverNow()
    showAlarms(state, parts, live)
    showFailures(state, parts, live)
    tick(state, parts, live, heardMs)
  }
  const navigate = (event) => {
    if (event.detail === window.location.search) return
    history.pushState({}, "", event.detail)
    send({ type: "go", search: event.detail })
  }
  const back = () => send({ type: "go", search: window.location.search })
  const acknowledge = (event) => parts.dialog.open(event.detail)
  const size = () => send({ type: "beat", width: window.innerWidth, height: window.innerHeight })

  model.on("state", build)
  model.on("live", update)
  model.on("msg:custom", (event) => {
    const message = event.data ?? event
    if (message.type === "search" && message.search !== window.location.search) {
      history.replaceState({}, "", message.search)
    }
  })
  const forward = (event) => send(event.detail)
  window.addEventListener("steam-say", forward)
  window.addEventListener("steam-go", navigate)
  window.addEventListener("steam-acknowledge", acknowledge)
  window.addEventListener("popstate", back)
  const beat = setInterval(size, 15000)
  let resized
  const resize = () => { clearTimeout(resized); resized = setTimeout(size, 300) }
  window.addEventListener("resize", resize)
  model.on("remove", () => {
    clearInterval(beat)
    clearTimeout(forgetting)
    window.removeEventListener("resize", resize)
    window.removeEventListener("steam-say", forward)
    window.removeEventListener("steam-go", navigate)
    window.removeEventListener("steam-acknowledge", acknowledge)
    window.removeEventListener("popstate", back)
  })
  build()
  size()
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)")
  let lit = false
  keepTime(model, () => {
    lit = !lit && !calm.matches && live.alarms.some((alarm) => alarm.state === "UNACK")
    blink(lit)
  }, 500)
  keepTime(model, () => parts && live.link.connected !== undefined && tick(state, parts, live, heardMs))
  return root
}
