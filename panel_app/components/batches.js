const CELL = { w: 14, h: 18, gap: 2, left: 34, top: 20, hourGap: 4 }
const STEPS = 5

function two(n) {
  return String(n).padStart(2, "0")
}

function columnX(minute) {
  return CELL.left + minute * (CELL.w + CELL.gap) + Math.floor(minute / 15) * CELL.hourGap
}

function dayMap(state, point) {
  const width = columnX(59) + CELL.w + 2
  const height = CELL.top + 24 * (CELL.h + CELL.gap)
  const cells = []
  const node = h("svg:svg", {
    class: "st-map", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": state.texts.batches_counts,
  })
  node.append(h("svg:defs", {}, h("svg:pattern", { id: "st-hatch", width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    h("svg:rect", { width: 4, height: 4, class: "st-hatch-back" }), h("svg:rect", { width: 1.2, height: 4, class: "st-hatch-line" }))))
  for (const minute of [0, 15, 30, 45]) node.append(h("svg:text", { x: columnX(minute), y: 12, class: "st-map-minute" }, `:${two(minute)}`))
  for (let hour = 0; hour < 24; hour++) {
    const y = CELL.top + hour * (CELL.h + CELL.gap)
    node.append(h("svg:text", { x: CELL.left - 8, y: y + 13, class: "st-map-hour" }, two(hour)))
    for (let minute = 0; minute < 60; minute++) {
      const index = hour * 60 + minute
      const rect = h("svg:rect", { x: columnX(minute), y, width: CELL.w, height: CELL.h, rx: 1.5, class: "st-cell st-future", "data-minute": index })
      cells.push({ rect, x: columnX(minute), y, mark: null })
      node.append(rect)
    }
  }
  const at = (event) => {
    const minute = event.target.getAttribute?.("data-minute")
    if (minute !== null && minute !== undefined) point(Number(minute))
  }
  node.addEventListener("pointermove", at)
  node.addEventListener("pointerdown", at)
  node.addEventListener("pointerleave", () => point(null))
  return { node, cells }
}

function legend(state) {
  const t = state.texts
  const swatch = (name, mark, label) => h("span", { class: "st-key" },
    h("svg:svg", { viewBox: "-1 -1 16 20", class: "st-swatch", "aria-hidden": "true" },
      h("svg:rect", { width: CELL.w, height: CELL.h, rx: 1.5, class: `st-cell ${name}` }), h("svg:path", { d: mark, class: "st-cell-mark" })), label)
  return h("div", { class: "st-legend" },
    swatch("st-b1", "", t.legend_few), swatch("st-b5", "", t.legend_many),
    swatch("st-missing", MARKS.missing, t.legend_none), swatch("st-b3", MARKS.late, fill(t.legend_late, { seconds: state.late_ms / 1000 })),
    swatch("st-b3", MARKS.quarantined, t.legend_quarantined))
}

const MARKS = {
  missing: "M4 6L10 12M10 6L4 12",
  late: "M0 18H14V14.400H0Z",
  quarantined: "M7 5L11 9L7 13L3 9Z",
  both: "M0 18H14V14.400H0ZM7 3L10.500 6.500L7 10L3.500 6.500Z",
}

function figure(label) {
  const value = h("b", {}, "–")
  return { node: h("div", { class: "st-figure" }, h("span", {}, label), value), value }
}

function hourBars() {
  const bars = []
  const node = h("svg:svg", { class: "st-bars", viewBox: "0 0 300 84", preserveAspectRatio: "none" })
  for (let i = 0; i < 60; i++) {
    const bar = h("svg:rect", { x: i * 5 + 0.5, y: 84, width: 4, height: 0, class: "st-minute-bar" })
    bars.push(bar)
    node.append(bar)
  }
  return { node, bars }
}

export function render({ model }) {
  const root = h("div", { class: "st-batches" })
  let state, map, figures, bars, detail, byMinute = new Map(), day = {}, pointed = null

  const build = () => {
    state = parse(model.state)
    if (!state.texts) return
    const t = state.texts
    const step = (n) => () => say({ type: "day", step: n })
    map = dayMap(state, (minute) => { pointed = minute; showDetail() })
    bars = hourBars()
    detail = h("div", { class: "st-detail", "aria-live": "polite" })
    figures = {
      written: figure(t.minutes_written), missing: figure(t.minutes_missing), rows: figure(t.rows), messages: figure(t.messages),
      quarantined: figure(t.quarantined), late: figure(t.late_over), lag: figure(t.lag_longest),
    }
    root.replaceChildren(
      h("div", { class: "st-day-bar" },
        h("button", { type: "button", class: "st-button st-step", title: t.previous_day, "aria-label": t.previous_day, on: { click: step(-1) } }, "‹"),
        h("strong", { class: "st-day-name" }, state.day_name),
        h("button", { type: "button", class: "st-button st-step", title: t.next_day, "aria-label": t.next_day, disabled: state.today, on: { click: step(1) } }, "›"),
        state.today ? null : h("button", { type: "button", class: "st-button", on: { click: step(0) } }, t.today),
        h("span", { class: "st-zone-name" }, fill(t.batch_zone, { zone: state.zone }))),
      h("div", { class: "st-figures" }, ...Object.values(figures).map((one) => one.node)),
      h("div", { class: "st-split" },
        h("section", { class: "st-panel st-map-panel" },
          h("header", { class: "st-panel-head" }, h("h2", {}, t.batches), legend(state)),
          h("div", { class: "st-map-scroll" }, map.node)),
        h("div", { class: "st-side" },
          h("section", { class: "st-panel" }, h("header", { class: "st-panel-head" }, h("h2", {}, t.batch)), detail),
          h("section", { class: "st-panel st-hour-panel" },
            h("header", { class: "st-panel-head" }, h("h2", {}, t.last_hour), h("span", { class: "st-quiet" }, `${t.rows} ${t.per_minute}`)),
            h("div", { class: "st-bars-box" }, bars.node, h("div", { class: "st-bars-ends" }, h("span", {}, ""), h("span", {}, "")))))))
    look()
  }
  const look = () => {
    if (!state?.texts) return
    day = parse(model.data)
    if (day.day !== state.day) day = {}  // the answer for this day is still to come
    if (!day.cells) return showDetail()
    byMinute = new Map(day.cells.map((cell) => [cell[0], cell]))
    drawMap()
    drawFigures()
    drawHour()
    showDetail()
  }
  const drawMap = () => {
    const rows = day.cells.map((cell) => cell[1]).sort((a, b) => a - b)
    const low = rows[Math.floor(rows.length * 0.02)] ?? 0
    const high = rows[Math.floor(rows.length * 0.98)] ?? 1
    map.cells.forEach((drawn, minute) => {
      const cell = byMinute.get(minute)
      let name = "st-future", shape = ""
      if (cell) {
        const share = high > low ? (cell[1] - low) / (high - low) : 0.5
        name = `st-b${1 + Math.min(STEPS - 1, Math.max(0, Math.floor(share * STEPS)))}`
        const late = cell[6] > state.late_ms, quarantined = cell[5] > 0
        shape = late && quarantined ? MARKS.both : late ? MARKS.late : quarantined ? MARKS.quarantined : ""
      } else if (minute >= day.since && minute < day.until) {
        name = "st-missing"
        shape = MARKS.missing
      } else if (minute < day.since) name = "st-before"
      setAttribute(drawn.rect, "class", `st-cell ${name}`)
      if (shape && !drawn.mark) {
        drawn.mark = h("svg:path", { class: "st-cell-mark", transform: `translate(${drawn.x} ${drawn.y})` })
        drawn.rect.after(drawn.mark)
      }
      if (drawn.mark) setAttribute(drawn.mark, "d", shape)
    })
  }
  const drawFigures = () => {
    const whole = (value) => number(value, 0, state.lang)
    const sum = (column) => day.cells.reduce((total, cell) => total + cell[column], 0)
    const expected = Math.max(0, day.until - day.since)
    const written = day.cells.filter((cell) => cell[0] < day.until).length
    setText(figures.written.value, whole(day.cells.length))
    setText(figures.missing.value, whole(Math.max(0, expected - written)))
    setText(figures.rows.value, whole(sum(1)))
    setText(figures.messages.value, whole(sum(2)))
    setText(figures.quarantined.value, whole(sum(5)))
    setText(figures.late.value, whole(day.cells.filter((cell) => cell[6] > state.late_ms).length))
    setText(figures.lag.value, day.cells.length ? `${number(Math.max(...day.cells.map((cell) => cell[6])) / 1000, 1, state.lang)} s` : "–")
  }
  const drawHour = () => {
    const most = Math.max(1, ...day.hour)
    bars.bars.forEach((bar, i) => {
      const height = day.hour[i] ? Math.max(1.5, 80 * day.hour[i] / most) : 0
      setAttribute(bar, "y", (84 - height).toFixed(1))
      setAttribute(bar, "height", height.toFixed(1))
    })
    const [from, to] = bars.node.nextElementSibling.children
    setText(from, day.hour_from)
    setText(to, `${day.hour_to} ${state.zone}`)
  }
  const showDetail = () => {
    const t = state.texts
    const newest = day.cells?.at(-1)?.[0]
    const minute = pointed ?? newest
    if (minute === undefined || !day.cells) {
      detail.replaceChildren(h("p", { class: "st-quiet" }, t.pick_minute))
      return
    }
    const cell = byMinute.get(minute)
    const key = `${state.day}_${two(Math.floor(minute / 60))}-${two(minute % 60)}`
    const whole = (value) => number(value, 0, state.lang)
    const line = (label, value) => h("div", { class: "st-line" }, h("dt", {}, label), h("dd", {}, value))
    detail.replaceChildren(h("p", { class: "st-batch-id", "data-batch": key }, key),
      cell ? h("dl", { class: "st-lines" }, line(t.rows, whole(cell[1])), line(t.messages, whole(cell[2])), line(t.flushes, whole(cell[3])),
        line(t.bytes, whole(cell[4])), line(t.quarantined, whole(cell[5])), line(t.lag_longest, `${number(cell[6] / 1000, 2, state.lang)} s`))
        : h("p", { class: "st-quiet" }, minute >= day.until ? t.legend_future : t.no_batch))
  }
  model.on("state", () => { pointed = null; build() })
  model.on("data", look)
  build()
  return root
}
