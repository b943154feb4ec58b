// What all plots have in common: the page's colours and type, and a canvas that follows its place.

// colour is what a variable of the style stands for now, light or dark.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
export function colour(name) {
  probe.style.color = "var(" + name + ")";
  return getComputedStyle(probe).color;
}

export function faint(name, alpha) {
  return colour(name).replace(/^rgb\((.*)\)$/, "rgba($1, " + alpha + ")");
}

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
export const font = (size = 0.75) => Math.round(rem() * size) + "px " + getComputedStyle(document.body).fontFamily;

// axis is one in the page's colours.
export function axis(more) {
  return {
    stroke: colour("--dim"), font: font(), grid: { stroke: faint("--dim", 0.18), width: thick(1) }, ticks: { stroke: faint("--dim", 0.4), width: thick(1), size: thick(4) }, ...more,
  };
}
export const axisSize = (factor) => Math.round(rem() * factor);

// thick is how thick a line is that is of so many pixels on a desk: on a wall it grows with the type.
export const thick = (pixels) => pixels * Math.max(1, rem() / 17);

// walk lets the arrow keys move the cursor of a plot from point to point, as a pointer does; more are keys of its own, by their names.
export function walk(place, plot, points, more = {}) {
  place.addEventListener("keydown", (e) => {
    const u = plot();
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!u || e.ctrlKey || e.altKey || e.metaKey || !step && !more[e.key]) return;
    e.preventDefault();
    if (!step) return more[e.key]();
    const at = points().filter((p) => p >= u.scales.x.min && p <= u.scales.x.max);
    const x = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
    const near = x === null ? (step > 0 ? -1 : at.length) : at.reduce((best, p, i) => (Math.abs(p - x) < Math.abs(at[best] - x) ? i : best), 0);
    const to = at[Math.min(at.length - 1, Math.max(0, near + step))];
    if (to !== undefined) u.setCursor({ left: u.valToPos(to, "x"), top: u.over.clientHeight / 2 });
  });
  place.addEventListener("blur", () => plot()?.setCursor({ left: -10, top: -10 }));
}

// follow keeps a plot as large as its place; where the type has another size, as on another screen, it is drawn anew.
const observer = new ResizeObserver((entries) => {
  for (const e of entries) e.target.resized?.();
});
export function follow(place, resized, redraw) {
  let type = rem();
  place.resized = () => {
    if (type === rem()) return resized();
    type = rem();
    redraw();
  };
  observer.observe(place);
}
export const sizeOf = (place) => ({ width: Math.max(120, place.clientWidth), height: Math.max(80, place.clientHeight) });
