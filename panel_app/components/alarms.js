function activeRow(alarm, state, sending) {
  const t = state.texts
  const busy = sending.includes(`${alarm.boiler}/${alarm.definition}`)
  const action = alarm.state === "ACKED"
    ? h("span", { class: "st-acked-by" }, alarm.acknowledged_by ? fill(t.acknowledged_by, { name: alarm.acknowledged_by }) : "")
    : h("button", {
      type: "button", class: "st-button st-small st-ack", disabled: busy,
      on: { click: () => window.dispatchEvent(new CustomEvent("steam-acknowledge", { detail: alarm })) },
    }, busy ? t.sending : t.acknowledge)
  return h("tr", {
    class: `st-active-row st-is-${alarm.state.toLowerCase()}`, "data-alarm": alarm.definition,
    "data-boiler": alarm.boiler, "data-state": alarm.state, "data-priority": alarm.priority,
  },
  h("td", { class: "st-c-glyph" }, glyph(alarm.priority, alarm.state, t[`priority_${alarm.priority}`])),
  h("td", { class: "st-c-title" }, h("strong", {}, alarm.title)),
  h("td", { class: "st-c-boiler" }, alarm.boiler_title),
  h("td", { class: "st-c-reading" }, alarm.reading),
  h("td", { class: "st-c-state" }, t[`state_${alarm.state}`]),
  h("td", { class: "st-c-age", "data-since": alarm.since }, ""),
  h("td", { class: "st-c-action" }, action))
}

function journalRow(row, state) {
  const t = state.texts
  const title = row.search ? link(row.search, { class: "st-to-trend", title: t.trends }, row.title) : row.title
  return h("tr", { class: "st-journal-row", "data-event": row.id, "data-state": row.state },
    h("td", { class: "st-c-at" }, row.at, " ", h("span", { class: "st-zone-short" }, row.zone)),
    h("td", { class: "st-c-glyph" }, glyph(row.priority, row.state === "UNACK" ? "PAST" : "NONE", t[`priority_${row.priority}`])),
    h("td", { class: "st-c-title" }, title, row.retroactive ? h("span", { class: "st-tag" }, t.retroactive) : null),
    h("td", { class: "st-c-boiler" }, row.boiler_title),
    h("td", { class: "st-c-event" }, t[`event_${row.state}`] || row.state),
    h("td", { class: "st-c-reading" }, row.reading),
    h("td", { class: "st-c-who" }, row.by),
    h("td", { class: "st-c-note" }, row.note))
}

function table(name, columns, body) {
  return h("table", { class: `st-table ${name}` },
    h("thead", {}, h("tr", {}, ...columns.map(([key, label]) => h("th", { class: `st-c-${key}`, scope: "col" }, label)))), body)
}

function filters(state, change) {
  const t = state.texts
  const select = (name, choices, label) => h("select", {
    class: "st-input st-filter", name, "aria-label": label, on: { change },
  }, ...choices.map((one) => h("option", {
    value: one.value, selected: String(state.chosen[name] || "") === one.value,
  }, one.label)))
  return [
    select("hours", state.hours, t.at_time), select("boiler", state.boilers, t.boiler),
    select("priority", state.priorities, t.priority), select("state", state.states, t.transition),
    h("input", {
      class: "st-input st-filter st-search", type: "search", name: "text", placeholder: t.search,
      "aria-label": t.search, value: state.chosen.text || "", maxlength: 100, on: { input: change },
    }),
  ]
}

export function render({ model }) {
  const root = h("div", { class: "st-alarms" })
  let state, active, count, journal, note, inputs, csv, timer

  const search = () => {
    const query = new URLSearchParams({ page: "alarms" })
    for (const input of inputs) if (input.value) query.set(input.name, input.value)
    query.set("lang", state.lang)
    return `?${query}`
  }
  const change = (event) => {
    csv.href = `export/journal.csv${search()}`
    clearTimeout(timer)
    timer = setTimeout(() => say({ type: "filter", search: search() }), event.type === "input" ? 350 : 0)
  }
  const build = () => {
    state = parse(model.state)
    if (!state.texts) return
    const t = state.texts
    active = h("tbody", {})
    journal = h("tbody", {})
    count = h("span", { class: "st-number" })
    note = h("p", { class: "st-journal-note" })
    inputs = filters(state, change)
    csv = h("a", { class: "st-button st-csv", download: "", href: "" }, t.export_csv)
    root.replaceChildren(
      h("section", { class: "st-panel", "aria-label": t.active_alarms },
        h("header", { class: "st-panel-head" }, h("h2", {}, t.active_alarms), count),
        table("st-active", [["glyph", ""], ["title", t.alarm], ["boiler", t.boiler], ["reading", t.value], ["state", t.state], ["age", t.since], ["action", ""]], active)),
      h("section", { class: "st-panel st-journal-panel", "aria-label": t.journal },
        h("header", { class: "st-panel-head" }, h("h2", {}, t.journal), h("div", { class: "st-filters" }, ...inputs, csv)),
        h("div", { class: "st-scroll" },
          table("st-journal", [["at", t.at_time], ["glyph", ""], ["title", t.alarm], ["boiler", t.boiler], ["event", t.transition], ["reading", t.value], ["who", t.who], ["note", t.note]], journal)), note))
    csv.href = `export/journal.csv${search()}`
    update()
    look()
  }
  let shown = ""
  const update = () => {
    const live = parse(model.live)
    if (!live.alarms || !state?.texts) return
    keepClock(live.now)
    const alarms = [...live.alarms].sort(byUrgency)
    const key = JSON.stringify([alarms, live.sending, state.lang])
    if (key !== shown) {
      shown = key
      active.replaceChildren(...(alarms.length ? alarms.map((alarm) => activeRow(alarm, state, live.sending))
        : [h("tr", {}, h("td", { colspan: 7, class: "st-empty" }, state.texts.no_active_alarms))]))
      setText(count, alarms.length ? String(alarms.length) : "")
    }
    ages()
  }
  const look = () => {
    const data = parse(model.data)
    if (!data.rows || !state?.texts) return
    journal.replaceChildren(...(data.rows.length ? data.rows.map((row) => journalRow(row, state))
      : [h("tr", {}, h("td", { colspan: 8, class: "st-empty" }, state.texts.no_events))]))
    setText(note, data.all > data.rows.length ? fill(state.texts.more_events, { n: state.most }) : "")
  }
  const ages = () => {
    const now = serverNow()
    for (const node of root.querySelectorAll("[data-since]")) setText(node, age(now - Number(node.dataset.since)))
  }
  model.on("state", () => { shown = ""; build() })
  model.on("live", update)
  model.on("data", look)
  build()
  keepTime(model, ages)
  return root
}
