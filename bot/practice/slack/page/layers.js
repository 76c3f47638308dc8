/** What lies above the page: menus, questions, and short notes. Native popovers and dialogs bring Esc and focus with them. */

import { h, icon } from "./dom.js";
import { textObject, words } from "./mrkdwn.js";

/**
 * Open a menu at `anchor`. Arrow keys move, Enter chooses, Esc closes and gives the focus back.
 * @param {HTMLElement} anchor
 * @param {{label: string|Node, hint?: string, danger?: boolean, current?: boolean, testid?: string, choose: () => void}[]} items
 * @param {{label: string, title?: string, className?: string}} options
 */
export function menu(anchor, items, { label, title, className = "" }) {
  const list = h(
    "div",
    { class: `menu ${className}`, role: "menu", "aria-label": label, popover: "auto" },
    title && h("div", { class: "menu-title", role: "presentation" }, title),
    items.map((item) =>
      h(
        "button",
        {
          type: "button",
          class: item.danger ? "menu-item danger" : "menu-item",
          role: item.current === undefined ? "menuitem" : "menuitemradio",
          "aria-checked": item.current === undefined ? null : String(item.current),
          tabindex: -1,
          testid: item.testid,
          title: item.title,
          onclick: () => {
            list.hidePopover();
            item.choose();
          },
        },
        h("span", { class: "menu-label" }, item.label),
        item.hint && h("span", { class: "menu-hint" }, item.hint),
        item.current && icon("check"),
      ),
    ),
  );
  list.addEventListener("keydown", (event) => moveFocus(event, [...list.querySelectorAll(".menu-item")], className.includes("grid") ? 8 : 1));
  return popover(anchor, list);
}

/** Show `content` beside `anchor` until Esc or a click elsewhere. */
export function popover(anchor, content) {
  if (!content.hasAttribute("popover")) content.setAttribute("popover", "auto");
  (anchor.closest("dialog") ?? document.body).append(content);
  anchor.setAttribute("aria-expanded", "true");
  content.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (!document.activeElement || document.activeElement === document.body) anchor.focus({ preventScroll: true });
    content.remove();
  });
  content.showPopover();
  place(content, anchor.getBoundingClientRect());
  const first = content.querySelector('[aria-checked="true"]') ?? content.querySelector("button, input, a");
  first?.focus({ preventScroll: true });
  return content;
}

function place(content, at) {
  const { offsetWidth: width, offsetHeight: height } = content;
  const gap = 6;
  const below = at.bottom + gap + height <= innerHeight - gap;
  const top = below ? at.bottom + gap : Math.max(gap, at.top - gap - height);
  const left = at.left + width <= innerWidth - gap ? at.left : at.right - width;
  content.style.setProperty("top", `${top}px`);
  content.style.setProperty("left", `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`);
}

function moveFocus(event, items, columns) {
  const at = items.indexOf(document.activeElement);
  const steps = { ArrowDown: columns, ArrowUp: -columns, ArrowRight: 1, ArrowLeft: -1 };
  let to = null;
  if (event.key in steps) to = Math.max(0, Math.min(items.length - 1, at + steps[event.key]));
  else if (event.key === "Home") to = 0;
  else if (event.key === "End") to = items.length - 1;
  if (to === null) return;
  event.preventDefault();
  items[to]?.focus();
}

/**
 * Ask what a `confirm` object asks.
 * @returns {Promise<boolean>} true when the person goes ahead
 */
export function ask(confirm) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "dialog confirm", testid: "confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      h("h2", { id: "confirm-title" }, words(confirm.title)),
      h("div", { class: "dialog-body text", id: "confirm-text" }, textObject(confirm.text)),
      h(
        "footer",
        null,
        h("button", { type: "button", class: "button", testid: "confirm-deny", onclick: () => dialog.close() }, words(confirm.deny) || "Cancel"),
        h(
          "button",
          {
            type: "button",
            class: confirm.style === "danger" ? "button danger solid" : "button primary",
            testid: "confirm-accept",
            onclick: () => dialog.close("yes"),
          },
          words(confirm.confirm) || "Yes",
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

let shelf = null;

/** Say something short at the edge of the screen. Errors stay until closed, the rest goes by itself. */
export function toast(content, { tone = "info" } = {}) {
  if (!shelf) {
    shelf = h("div", { class: "toasts", popover: "manual", "aria-label": "Notes" });
    document.body.append(shelf);
  }
  const note = h(
    "div",
    { class: `toast ${tone}`, role: tone === "error" ? "alert" : "status", testid: "toast" },
    h("div", { class: "toast-text" }, content),
    h("button", { type: "button", class: "icon-button", "aria-label": "Close note", onclick: () => drop(note) }, icon("close")),
  );
  shelf.append(note);
  while (shelf.childElementCount > 4) shelf.firstElementChild.remove();
  // Shown anew each time, so that it also lies above a dialog that was opened since.
  if (shelf.matches(":popover-open")) shelf.hidePopover();
  shelf.showPopover();
  setTimeout(() => drop(note), tone === "error" ? 12_000 : 5_000);
}

function drop(note) {
  note.remove();
  if (shelf.childElementCount === 0 && shelf.matches(":popover-open")) shelf.hidePopover();
}
