const SPARK_MS = 30 * 60 * 1000
const SPARK_LEAST_MS = 2 * 60 * 1000
const SPARK_POINTS = 360

function share(row, value) {
  return Math.min(1, Math.max(0, (value - row.low) / (row.high - row.low)))
}

function percent(x) {
  return `${(x * 100).toFixed(2)}%`
}

/* A moving analog indicator (ISA-101): the normal range, the alarm ranges, and a pointer. */
function indicator(row, texts) {
  const zones = row.zones.map((zone) => {
    const from = share(row, zone.low), to = share(row, zone.high)
    return h("span", {
      class: "st-zone", "data-alarm": zone.definition, "data-priority": zone.priority,
      style: `left:${percent(from)};width:${percent(to - from)}`,
    })
  })
  const normal = row.normal ? h("span", {
    class: "st-normal", title: texts.normal_range,
    style: `left:${percent(share(row, row.normal[0]))};width:${percent(share(row, row.normal[1]) - share(row, row.normal[0]))}`,
  }) : null
  const limit = row.limit !== null ? h("span", {
    class: "st-limit", title: row.limit_label, style: `left:${percent(share(row, row.limit))}`,
  }, h("i", {}, row.limit_label)) : null
  const pointer = h("span", { class: "st-pointer" })
  const node = h("div", { class: "st-bar" }, h("span", { class: "st-track" }, ...zones, normal), limit, pointer)
  return { node, zones, pointer }
}

function indicatorRow(boiler, row, state) {
  const bar = indicator(row, state.texts)
  const value = h("span", { class: "st-value" }, "–")
  const mark = h("span", { class: "st-mark" })
  const spark = h("canvas", { class: "st-spark" })
  const node = link(row.search, {
    class: "st-row", "data-boiler": boiler.id, "data-metric": row.metric,
    title: row.tag ? `${row.tag} · ${row.label}` : row.label,
  }, h("span", { class: "st-label" }, row.label), bar.node,
  h("span", { class: "st-reading" }, mark, value, h("span", { class: "st-unit" }, row.unit)), spark)
  return { row, node, bar, value, mark, spark, points: [], drawn: 0, shown: "" }
}

function tile(boiler, state) {
  const t = state.texts
  const rows = boiler.rows.map((row) => indicatorRow(boiler, row, state))
  const picture = mimic(boiler)
  const burner = h("span", { class: "st-burner-word" }, "–")
  const rate = h("span", { class: "st-burner-rate" })
  const flameWord = h("span", { class: "st-flame-word" })
  const dot = h("span", { class: "st-data-dot" })
  const dataAge = h("span", { class: "st-data-age" })
  const foot = h("div", { class: "st-tile-foot" })
  const node = h("article", { class: "st-tile", "data-boiler": boiler.id, "aria-label": boiler.title },
    h("header", { class: "st-tile-head" },
      link(boiler.search, { class: "st-tile-title" }, boiler.title),
      h("span", { class: "st-tile-about" }, boiler.about),
      h("span", { class: "st-data" }, dot, dataAge)),
    h("div", { class: "st-tile-body" },
      h("div", { class: "st-tile-left" }, picture.node,
        h("dl", { class: "st-burner" },
          h("div", { class: "st-burner-main" }, h("dt", {}, t.burner), h("dd", {}, burner)),
          h("div", {}, h("dt", {}, t.flame), h("dd", {}, flameWord)),
          h("div", {}, h("dt", {}, t.firing_rate), h("dd", {}, rate)))),
      h("div", { class: "st-rows" }, ...rows.map((row) => row.node))),
    foot)
  return { boiler, node, rows, picture, burner, rate, flameWord, dot, dataAge, foot, at: 0, footKey: "" }
}

function showRow(one, reading, alarms, state, stale) {
  const { row } = one
  const value = reading ? reading[0] : null
  const good = reading && reading[2] >= 192
  const usable = value !== null && reading[2] >= 64
  const hot = alarms.filter((a) => a.metric === row.metric).sort(byUrgency)[0]
  const active = hot && hot.state !== "RTN_UNACK"
  setText(one.value, value === null ? "–" : number(value, row.decimals, state.lang))
  setClass(one.node, "st-bad", Boolean(reading) && !usable)
  setClass(one.node, "st-uncertain", usable && !good)
  setClass(one.node, "st-missing", !reading)
  setClass(one.node, "st-old", stale)
  setClass(one.node, "st-off-normal", usable && row.normal !== null && (value < row.normal[0] || value > row.normal[1]))
  one.bar.pointer.hidden = !usable
  if (usable) one.bar.pointer.style.left = percent(share(row, value))
  for (const zone of one.bar.zones) setClass(zone, "st-hot", Boolean(active) && alarms.some((a) => a.state !== "RTN_UNACK" && a.definition === zone.dataset.alarm))
  const shown = hot ? `${hot.priority}${hot.state}` : reading && !usable ? "bad" : ""
  if (one.shown !== shown) {
    one.shown = shown
    one.node.dataset.priority = active ? hot.priority : ""
    one.mark.replaceChildren(...(hot ? [glyph(hot.priority, hot.state, hot.title)]
      : shown === "bad" ? [h("span", { class: "st-quality", title: state.texts.bad_quality }, "?")] : []))
  }
  if (usable && reading[1] > (one.points.at(-1)?.[0] ?? 0)) {
    one.points.push([reading[1], value])
    const oldest = reading[1] - SPARK_MS
    while (one.points.length > 2 && one.points[0][0] < oldest) one.points.shift()
    if (one.points.length > SPARK_POINTS * 6) one.points = one.points.filter((_, i) => i % 2)
  }
}

function drawSpark(one) {
  const canvas = one.spark
  const width = canvas.clientWidth, height = canvas.clientHeight
  if (!width || one.points.length < 2) return
  const scale = window.devicePixelRatio || 1
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(height * scale)
  }
  const style = getComputedStyle(canvas)
  const pen = canvas.getContext("2d")
  pen.setTransform(scale, 0, 0, scale, 0, 0)
  pen.clearRect(0, 0, width, height)
  const end = one.points.at(-1)[0]
  const span = Math.min(SPARK_MS, Math.max(SPARK_LEAST_MS, end - one.points[0][0]))
  const begin = end - span
  const { row } = one
  const values = one.points.map((p) => p[1])
  let low = Math.min(...values), high = Math.max(...values)
  const least = (row.high - row.low) * 0.12
  if (high - low < least) { const mid = (high + low) / 2; low = mid - least / 2; high = mid + least / 2 }
  const x = (at) => 1 + (width - 5) * (at - begin) / span
  const y = (value) => height - 2 - (height - 4) * (value - low) / (high - low)
  if (row.normal) {
    const from = Math.max(0, y(row.normal[1])), to = Math.min(height, y(row.normal[0]))
    pen.fillStyle = style.getPropertyValue("--band")
    if (to > from) pen.fillRect(0, from, width, to - from)
  }
  pen.strokeStyle = style.getPropertyValue("--pen")
  pen.lineWidth = 1.25
  pen.lineJoin = "round"
  pen.beginPath()
  one.points.forEach(([at, value], i) => (i ? pen.lineTo(x(at), y(value)) : pen.moveTo(x(at), y(value))))
  pen.stroke()
  pen.fillStyle = style.getPropertyValue("--ink")
  pen.beginPath()
  pen.arc(x(end), y(values.at(-1)), 1.9, 0, 7)
  pen.fill()
}

function showFoot(one, alarms, state) {
  const t = state.texts
  const key = JSON.stringify([alarms, state.lang])
  if (one.footKey === key) return
  one.footKey = key
  setClass(one.node, "st-alarmed", alarms.length > 0)
  if (!alarms.length) {
    one.foot.replaceChildren(h("span", { class: "st-quiet" }, t.no_alarms))
    return
  }
  const top = alarms[0]
  const more = alarms.length - 1
  one.foot.replaceChildren(
    glyph(top.priority, top.state, t[`priority_${top.priority}`]),
    h("span", { class: "st-tile-alarm", "data-alarm": top.definition, "data-state": top.state },
      h("strong", {}, top.title), top.reading ? h("span", { class: "st-tile-reading" }, top.reading) : null),
    h("span", { class: "st-tile-state" }, t[`state_${top.state}`]),
    h("span", { class: "st-since", "data-since": top.since }),
    ...(more ? [link(state.alarms_search, { class: "st-more" }, `+${more}`)] : []))
}

/* What fills the last row where tiles leave a gap: every active alarm, most urgent first. */
function alarmList(state) {
  const list = h("ul", { class: "st-list" })
  const node = h("section", { class: "st-tile st-gap", "aria-label": state.texts.active_alarms },
    h("header", { class: "st-tile-head" },
      link(state.alarms_search, { class: "st-tile-title" }, state.texts.active_alarms)), list)
  let shown = ""
  return {
    node,
    show(alarms) {
      const key = JSON.stringify(alarms)
      if (key === shown) return
      shown = key
      list.replaceChildren(...(alarms.length ? [...alarms].sort(byUrgency).slice(0, 8).map((alarm) => h("li", { class: "st-list-row" },
        glyph(alarm.priority, alarm.state, state.texts[`priority_${alarm.priority}`]),
        h("span", { class: "st-list-boiler" }, alarm.boiler_title), h("strong", {}, alarm.title),
        h("span", { class: "st-list-reading" }, alarm.reading), h("span", { class: "st-since", "data-since": alarm.since })))
        : [h("li", { class: "st-quiet" }, state.texts.no_alarms)]))
    },
  }
}

function summary(state) {
  const cells = state.totals.map((total) => {
    const value = h("b", {}, "–")
    return { key: total.key, unit: total.unit, decimals: total.decimals, value, node: h("div", { class: "st-total", "data-total": total.key }, h("span", {}, total.label), value) }
  })
  return { node: h("div", { class: "st-totals" }, ...cells.map((cell) => cell.node)), cells }
}

export function render({ model }) {
  const root = h("div", { class: "st-overview" })
  let state, tiles = [], totals, gap

  const build = () => {
    state = parse(model.state)
    if (!state.boilers) return
    tiles = state.boilers.map((boiler) => tile(boiler, state))
    totals = summary(state)
    const grid = h("div", { class: "st-tiles", "data-count": tiles.length, style: `--columns:${state.columns}` }, ...tiles.map((one) => one.node))
    const free = tiles.length % state.columns ? state.columns - tiles.length % state.columns : 0
    gap = free ? alarmList(state) : null
    if (gap) {
      gap.node.style.setProperty("--free", free)
      grid.append(gap.node)
    }
    root.replaceChildren(totals.node, tiles.length ? grid : h("p", { class: "st-empty" }, state.texts.no_boilers))
    update()
    seed()
  }
  const seed = () => {
    const past = parse(model.data).boilers || {}
    for (const one of tiles) {
      for (const row of one.rows) {
        const before = past[one.boiler.id]?.[row.row.metric]
        if (before) {
          const first = row.points[0]?.[0] ?? Infinity
          row.points = [...before.filter((p) => p[0] < first), ...row.points]
        }
        drawSpark(row)
      }
    }
  }
  const update = () => {
    const live = parse(model.live)
    if (!live.boilers || !tiles.length) return
    keepClock(live.now)
    for (const one of tiles) {
      const news = live.boilers.find((b) => b.id === one.boiler.id)
      const readings = news?.readings || {}
      const alarms = [...(news?.alarms || [])].sort(byUrgency)
      one.at = news?.at || 0
      setAttribute(one.node, "data-state", news?.state || "none")
      const stale = !news || news.state === "stale" || news.state === "none"
      for (const row of one.rows) showRow(row, readings[row.row.metric], alarms, state, stale)
      const level = readings.water_level, flame = readings.flame
      const known = Boolean(flame) && flame[2] >= 64 && flame[0] !== null && !stale
      const lit = known && flame[0] >= 0.5
      one.picture.show(level && level[2] >= 64 ? level[0] : null, lit, known)
      setText(one.flameWord, known ? (lit ? state.texts.flame_on : state.texts.flame_off) : "–")
      setText(one.burner, news?.burner || "–")
      const rate = readings.firing_rate
      setText(one.rate, rate ? `${number(rate[0], 0, state.lang)} %` : "–")
      showFoot(one, alarms, state)
    }
    for (const cell of totals.cells) {
      const total = live.totals[cell.key]
      setText(cell.value, typeof total === "string" ? total : `${number(total, cell.decimals, state.lang)} ${cell.unit}`.trim())
    }
    gap?.show(live.boilers.flatMap((b) => b.alarms))
    ages()
    draw()
  }
  const ages = () => {
    const now = serverNow()
    for (const one of tiles) {
      const old = one.at ? age(now - one.at) : state.texts.data_none
      setText(one.dataAge, one.at && one.node.dataset.state === "stale" ? `${state.texts.data_stale} · ${old}` : old)
      one.dot.parentNode.title = state.texts[`data_${one.node.dataset.state || "none"}`]
    }
    for (const node of root.querySelectorAll("[data-since]")) setText(node, age(now - Number(node.dataset.since)))
  }
  let last = 0
  const draw = () => {
    if (Date.now() - last < 900) return
    last = Date.now()
    for (const one of tiles) for (const row of one.rows) drawSpark(row)
  }
  model.on("state", build)
  model.on("live", update)
  model.on("data", seed)
  build()
  keepTime(model, ages)
  const watch = new ResizeObserver(() => { last = 0; draw() })
  watch.observe(root)
  model.on("remove", () => watch.disconnect())
  return root
}
