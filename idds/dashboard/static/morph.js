// morph makes an element what another one is and touches nothing that is the same already: focus, selection, scrolling and open
// details stay. Children are told apart by their id or data-key, else by their place. What the fresh one has was parsed by DOMParser, in
// whose documents no script runs.
export function morph(have, fresh) {
  if (have.nodeName === "NOSCRIPT") return; // parsed without scripts it would have content
  const grows = fresh.dataset?.after && fresh.dataset.after === have.dataset.next;
  for (const a of fresh.attributes) if (have.getAttribute(a.name) !== a.value) have.setAttribute(a.name, a.value);
  for (const a of [...have.attributes]) if (!fresh.hasAttribute(a.name) && a.name !== "open" && !a.name.startsWith("data-kept")) have.removeAttribute(a.name);
  if (have.hasAttribute("data-keep") || have === document.activeElement && have.matches("input, select, textarea")) return;
  if (grows) return grow(have, fresh);
  const key = (n) => (n.nodeType === Node.ELEMENT_NODE ? n.id || n.dataset?.key || "" : "");
  const keyed = new Map();
  for (const n of have.childNodes) if (key(n)) keyed.set(key(n), n);
  let at = have.firstChild;
  for (const want of [...fresh.childNodes]) {
    let use = key(want) ? keyed.get(key(want)) : at;
    if (use && (use.nodeType !== want.nodeType || use.nodeName !== want.nodeName || key(use) !== key(want))) use = null;
    if (key(want)) keyed.delete(key(want));
    if (!use) {
      have.insertBefore(document.importNode(want, true), at);
      continue;
    }
    if (use === at) at = at.nextSibling;
    else have.insertBefore(use, at);
    if (use.nodeType === Node.ELEMENT_NODE) morph(use, want);
    else if (use.nodeValue !== want.nodeValue) use.nodeValue = want.nodeValue;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// grow puts the rows that are new before those that are there, of which the oldest go. Whoever reads further down is not moved.
function grow(have, fresh) {
  if (fresh.children.length === 0) return;
  have.querySelector(":scope > .none")?.remove();
  const scroll = document.scrollingElement;
  const first = have.firstElementChild;
  const before = first?.getBoundingClientRect().top ?? 0;
  have.prepend(...[...fresh.children].map((row) => document.importNode(row, true)));
  while (have.children.length > Number(have.dataset.most)) have.lastElementChild.remove();
  if (first?.isConnected && before < 0) scroll.scrollTop += first.getBoundingClientRect().top - before;
}
