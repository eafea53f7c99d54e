/* A fire-tube boiler in section, in lines and greys: only level, flame and readings move. */
const DRUM = { x: 26, y: 44, w: 150, h: 88 }

function mimic(boiler) {
  const water = h("svg:rect", { x: DRUM.x, y: 90, width: DRUM.w, height: 50, class: "st-m-water" })
  const clip = `st-drum-${boiler.id}`
  const flame = h("svg:path", {
    d: "M36 110c10-9 22-8 34-6c10 1.600 20 0 28 6c-8 6-18 4.400-28 6c-12 2-24 3-34-6z", class: "st-m-flame",
  })
  const needle = h("svg:path", { d: "M0 0L10 -5V5Z", class: "st-m-needle" })
  const node = h("svg:svg", { viewBox: "0 0 216 176", class: "st-mimic", "aria-hidden": "true" },
    h("svg:defs", {}, h("svg:clipPath", { id: clip }, h("svg:rect", {
      x: DRUM.x, y: DRUM.y, width: DRUM.w, height: DRUM.h, rx: 16,
    }))),
    h("svg:path", { d: "M150 45V10h18V52", class: "st-m-stack" }),
    h("svg:path", { d: "M84 44V26H26M84 36h0", class: "st-m-pipe" }),
    h("svg:path", { d: "M58 20l10 12M68 20l-10 12M58 20v12M68 20v12", class: "st-m-valve" }),
    h("svg:path", { d: "M18 26l10-5v10z", class: "st-m-arrow" }),
    h("svg:rect", { x: DRUM.x, y: DRUM.y, width: DRUM.w, height: DRUM.h, rx: 16, class: "st-m-drum" }),
    h("svg:g", { "clip-path": `url(#${clip})` }, water),
    h("svg:rect", { x: DRUM.x, y: DRUM.y, width: DRUM.w, height: DRUM.h, rx: 16, class: "st-m-shell" }),
    h("svg:rect", { x: 26, y: 98, width: 118, height: 24, rx: 11, class: "st-m-furnace" }),
    flame,
    h("svg:path", { d: "M8 102h14l6 4v8l-6 4H8z", class: "st-m-burner" }),
    h("svg:path", { d: "M44 132v14M158 132v14M32 147h150", class: "st-m-feet" }),
    h("svg:rect", { x: 184, y: 50, width: 9, height: 76, rx: 4.500, class: "st-m-glass" }),
    h("svg:path", { d: "M176 58h8M176 118h8", class: "st-m-pipe" }),
    h("svg:rect", { x: 186, y: 90, width: 5, height: 34, class: "st-m-column" }),
    h("svg:g", { class: "st-m-needle-at" }, needle))
  const column = node.querySelector(".st-m-column")
  const needleAt = node.querySelector(".st-m-needle-at")
  return {
    node,
    show(level, flameOn, known) {
      const share = level === null ? 0 : Math.min(1, Math.max(0, level / 100))
      const top = DRUM.y + 6 + (DRUM.h - 12) * (1 - share)
      setAttribute(water, "y", top.toFixed(1))
      setAttribute(water, "height", (DRUM.y + DRUM.h - top).toFixed(1))
      const inGlass = 54 + 68 * (1 - share)
      setAttribute(column, "y", inGlass.toFixed(1))
      setAttribute(column, "height", Math.max(0, 122 - inGlass).toFixed(1))
      setAttribute(needleAt, "transform", `translate(195 ${inGlass.toFixed(1)})`)
      setClass(node, "st-lit", flameOn)
      setClass(node, "st-unknown", !known)
    },
  }
}
