const SVG = "http://www.w3.org/2000/svg"
const formats = new Map()
const clock = { skew: 0 }

/* Device text is hostile: every text goes through here and becomes a text node. */
function h(name, attributes, ...children) {
  const svg = name.startsWith("svg:")
  const node = svg
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name)
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue
    if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act)
    else if (key === "class") node.setAttribute("class", value)
    else node.setAttribute(key, value === true ? "" : String(value))
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child)
  }
  return node
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

function setClass(node, name, on) {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on)
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value)
}

function number(value, decimals, lang) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–"
  const key = `${lang}|${decimals}`
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat(lang, {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals,
    }))
  }
  return formats.get(key).format(value).replace("-", "−")
}

function moment(ms, lang, zone, options) {
  const key = `${lang}|${zone}|${JSON.stringify(options)}`
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(lang, { timeZone: zone, hourCycle: "h23", ...options }))
  }
  return formats.get(key).format(ms)
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" }
const DAY_CLOCK = { day: "2-digit", month: "2-digit", ...CLOCK }

/* Such as UTC−3: the same in every language, and what a local time means. */
function offset(ms, zone) {
  const key = `offset|${zone}`
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "shortOffset" }))
  const part = formats.get(key).formatToParts(ms).find((one) => one.type === "timeZoneName")
  return part ? part.value.replace("GMT", "UTC").replace("-", "−") : ""
}

function serverNow() {
  return Date.now() + clock.skew
}

function keepClock(now) {
  if (now) clock.skew = now - Date.now()
}

/* An age such as "4 s", "12 min", "3 h 05", "2 d": short, and the same in both languages. */
function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s < 60) return `${s} s`
  const min = Math.floor(s / 60)
  if (min < 60) return `${min} min`
  const hours = Math.floor(min / 60)
  if (hours < 24) return `${hours} h ${String(min % 60).padStart(2, "0")}`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "")
}

/* Priority is shape and number and colour (ISA-18.2): a circle is 4, a diamond 3, a triangle 2, a square 1. */
const SHAPES = {
  1: "M2 2H22V22H2Z",
  2: "M12 1.5L23 21.5H1Z",
  3: "M12 .8L23.2 12L12 23.2L.8 12Z",
  4: "M12 1.5A10.5 10.5 0 1 1 12 22.5A10.5 10.5 0 1 1 12 1.5Z",
}

function glyph(priority, state, title) {
  const known = SHAPES[priority] ? priority : 4
  const path = h("svg:path", { d: SHAPES[known], class: "st-glyph-shape" })
  const digit = h("svg:text", { x: 12, y: known === 2 ? 18.4 : 16.6, class: "st-glyph-digit" }, String(known))
  const label = title ? h("svg:title", {}, title) : null
  return h("svg:svg", {
    viewBox: "0 0 24 24", class: `st-glyph st-p${known} st-${(state || "UNACK").toLowerCase()}`,
    role: "img", "aria-label": title || `P${known}`, "data-priority": known, "data-state": state,
  }, label, path, digit)
}

function parse(text) {
  try { return JSON.parse(text) } catch { return {} }
}

/* Alarms that need a person first: not acknowledged, then by priority, then the newest. */
function byUrgency(a, b) {
  const unacked = (x) => (x.state === "UNACK" ? 0 : x.state === "RTN_UNACK" ? 1 : 2)
  return unacked(a) - unacked(b) || a.priority - b.priority || b.since - a.since
}

function go(search) {
  window.dispatchEvent(new CustomEvent("steam-go", { detail: search }))
}

/* Tell the server something; the shell has the only line. */
function say(message) {
  window.dispatchEvent(new CustomEvent("steam-say", { detail: message }))
}

function link(search, attributes, ...children) {
  return h("a", {
    href: search, ...attributes,
    on: {
      click(event) {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
        event.preventDefault()
        go(event.currentTarget.getAttribute("href"))
      },
    },
  }, ...children)
}

function keepTime(model, act, everyMs = 1000) {
  act()
  const timer = setInterval(act, everyMs)
  model.on("remove", () => clearInterval(timer))
}
