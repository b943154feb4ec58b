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
