export function render({ model }) {
  const root = h("div", { class: "st-trend-bar" })
  let state, values = new Map()

  const send = (type, value) => say({ type, value })
  const toggle = (metric) => {
    const chosen = state.pens.filter((pen) => pen.chosen).map((pen) => pen.metric)
    const next = chosen.includes(metric) ? chosen.filter((one) => one !== metric) : [...chosen, metric]
    if (next.length && next.length <= state.most_pens) send("pens", next.join(","))
  }
  const build = () => {
    state = parse(model.state)
    if (!state.pens) return
    const t = state.texts
    const full = state.pens.filter((pen) => pen.chosen).length >= state.most_pens
    values = new Map()
    const pens = state.pens.map((pen) => {
      const value = h("span", { class: "st-pen-value" }, "–")
      values.set(pen.metric, { pen, value })
      return h("button", {
        type: "button", class: "st-pen", "data-metric": pen.metric, "aria-pressed": pen.chosen ? "true" : "false",
        disabled: full && !pen.chosen, title: full && !pen.chosen ? fill(t.pens_limit, { n: state.most_pens }) : pen.label,
        on: { click: () => toggle(pen.metric) },
      }, h("span", { class: "st-pen-box", "aria-hidden": "true" }), h("span", { class: "st-pen-label" }, pen.label),
      ...(pen.chosen ? [value, h("span", { class: "st-pen-unit" }, pen.unit)] : []))
    })
    const boiler = h("select", { class: "st-input st-boilers", "aria-label": t.boiler, on: { change: (event) => go(event.target.value) } },
      ...state.boilers.map((one) => h("option", { value: one.value, selected: one.value.includes(`boiler=${state.boiler}&`) || one.value.endsWith(`boiler=${state.boiler}`) }, one.label)))
    const spans = state.spans.map((one) => h("button", {
      type: "button", class: "st-button", "data-span": one.value, "aria-pressed": one.value === state.span ? "true" : "false",
      on: { click: () => send("span", one.value) },
    }, one.label))
    const step = (type, value, label, sign) => h("button", {
      type: "button", class: "st-button st-step", title: label, "aria-label": label, on: { click: () => send(type, value) },
    }, sign)
    root.replaceChildren(
      h("div", { class: "st-trend-tools" }, boiler,
        h("div", { class: "st-group", role: "group", "aria-label": t.live }, h("span", { class: "st-group-label" }, t.live), ...spans),
        h("div", { class: "st-group" }, step("pan", "-1", t.earlier, "‹"), step("out", "", t.zoom_out, "−"), step("pan", "1", t.later, "›")),
        h("div", { class: "st-shown" }, h("span", { class: "st-range" }, state.shown), h("span", { class: "st-range-zone" }, state.zone)),
        h("a", { class: "st-button st-csv", href: state.csv, download: "" }, t.export_csv)),
      h("div", { class: "st-pens", role: "group", "aria-label": t.pens }, ...pens,
        h("span", { class: "st-hint" }, t.drag_to_zoom)))
    update()
  }
  const update = () => {
    const live = parse(model.live)
    if (!live.readings || !state) return
    keepClock(live.now)
    for (const [metric, { pen, value }] of values) {
      const reading = live.readings[metric]
      setText(value, reading && reading[2] >= 64 ? number(reading[0], pen.decimals, state.lang) : "–")
    }
  }
  model.on("state", build)
  model.on("live", update)
  build()
  return root
}
