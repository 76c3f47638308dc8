/**
 * Elements, made from values only.
 *
 * Nothing on this page is ever parsed as markup: text becomes text nodes, addresses pass `safeUrl`. That is why what people and
 * the bot write stays inert, whatever it contains.
 */

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "open", "required", "multiple"]);

/**
 * Make an element. `on…` takes listeners, `testid` becomes `data-testid`, null and false leave a property or child out.
 * @param {string} tag
 * @param {Record<string, unknown>?} props
 * @param {...(Node|string|number|null|false|undefined|Array)} children
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  // Children first: the value of a select can only be set once its options exist.
  node.append(...present(children));
  for (const [name, value] of Object.entries(props ?? {})) assign(node, name, value);
  return node;
}

export function fragment(...children) {
  const node = document.createDocumentFragment();
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

function assign(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) {
    if (typeof value !== "function") throw new TypeError(`${name} wants a function`);
    node.addEventListener(name.slice(2), value);
  } else if (name === "class") node.className = String(value);
  else if (name === "testid") node.dataset.testid = String(value);
  else if (PROPERTIES.has(name)) node[name] = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

/** Make `parent` hold exactly `nodes` in this order. Nodes that stay are not touched, so focus, scroll and menus survive. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let cursor = parent.firstChild;
  for (const node of nodes) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
}

/** A place whose content is rebuilt only when the value it is drawn from has changed. */
export class Slot {
  constructor(node) {
    this.node = node;
    this.drawnFrom = undefined;
  }

  /** Draw `value` by `build` if it differs from what is there; tells whether it did. */
  show(value, build) {
    const signature = JSON.stringify(value ?? null);
    if (signature === this.drawnFrom) return false;
    this.drawnFrom = signature;
    keepFocus(this.node, () => this.node.replaceChildren(...present([build()])));
    return true;
  }
}

/** Change what stands in `node`; a control that had the focus and is drawn anew has it again. */
export function keepFocus(node, change) {
  const active = document.activeElement;
  const name = active && node.contains(active) ? active.dataset?.testid : null;
  change();
  if (name && !node.contains(document.activeElement)) {
    node.querySelector(`[data-testid="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
  }
}

/** The address if it is one a link may lead to, else null. Keeps `javascript:` and its kin out of every href. */
export function safeUrl(text) {
  try {
    const url = new URL(String(text), location.href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  bolt: "M11 2.5 4.5 11.5H10l-1 6 6.5-9H10z",
  check: "M4 10.5l4 4 8-9",
  chevron: "M6 8l4 4 4-4",
  close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  down: "M10 4v12M5 11l5 5 5-5",
  file: "M5.5 2.5H11L14.5 6v11.5h-9zM11 2.5V6h3.5",
  half: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M10 3v14M10 6.5l5.5 1M10 10h7M10 13.5l5.5-1",
  hash: "M8 3.5l-1.5 13M13.5 3.5l-1.5 13M4 7.5h12.5M3.5 12.5H16",
  lock: "M5 9.5h10v7H5zM7 9.5V7a3 3 0 0 1 6 0v2.5",
  menu: "M3.5 5.5h13M3.5 10h13M3.5 14.5h13",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4 6.5 6.5 0 1 0 16 11.5z",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  pin: "M10 12v5M6 12h8l-1.5-2.5v-6h-5v6z",
  reply: "M3.5 4.5h13v9h-7l-4 3v-3h-2z",
  send: "M3 10 17 3.5 13.5 16.5l-3.700-4.700zM9.800 11.800 17 3.5",
  sliders: "M3.5 6.5h7M14.5 6.5h2M12.5 4.5v4M3.5 13.5h2M9.5 13.5h7M7.5 11.5v4",
  smile: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M7.5 8.5h.01M12.5 8.5h.01M7 11.800c1.5 2 4.5 2 6 0",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 2v1.300M10 16.700V18M2 10h1.300M16.700 10H18M4.400 4.400l.9.9M14.700 14.700l.9.9M4.400 15.600l.9-.9M14.700 5.300l.9-.9",
};

/** One of this page's own line drawings, 20 units square, in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
