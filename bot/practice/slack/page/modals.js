/** The stack of modals a person has open; the last one is on top and the only one drawn. */

import { Blocks, unknown } from "./blocks.js";
import { h, icon } from "./dom.js";
import { toast } from "./layers.js";
import { plain, words } from "./mrkdwn.js";
import { Values } from "./values.js";

export class Modals {
  /** @param {import("./app.js").Host} host */
  constructor(host) {
    this.host = host;
    this.open = new Map();
  }

  /** @param {object[]} views of the state */
  show(views) {
    const ids = new Set(views.map(({ id }) => id));
    for (const [id, modal] of this.open) {
      if (ids.has(id)) continue;
      modal.remove();
      this.open.delete(id);
    }
    const top = views.at(-1)?.id ?? null;
    for (const view of views) {
      if (!this.open.has(view.id)) this.open.set(view.id, new Modal(this.host, view.id));
      this.open.get(view.id).update(view, views.length);
    }
    for (const [id, modal] of this.open) modal.raise(id === top);
  }
}

class Modal {
  constructor(host, id) {
    this.host = host;
    this.id = id;
    this.values = new Values();
    this.errors = {};
    this.busy = false;
    this.title = h("h2", { id: `title-${id}` });
    this.body = h("div", { class: "dialog-body" });
    this.blocks = new Blocks(this.body);
    this.foot = h("footer");
    const form = h(
      "form",
      { method: "dialog", novalidate: true },
      h(
        "header",
        null,
        h("img", { src: "/static/mark.svg", alt: "", width: 24, height: 24 }),
        this.title,
        h("button", { type: "button", class: "icon-button", "aria-label": "Close", testid: "modal-x", onclick: () => this.close() }, icon("close")),
      ),
      this.body,
      this.foot,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.dialog = h("dialog", { class: "dialog modal", testid: "modal", "aria-labelledby": `title-${id}` }, form);
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    document.body.append(this.dialog);
  }

  update(view, depth) {
    if (view.errors && JSON.stringify(view.errors) !== JSON.stringify(this.view?.errors)) this.errors = view.errors;
    this.view = view;
    this.depth = depth;
    this.#draw();
  }

  #draw() {
    const { view } = this;
    this.title.replaceChildren(plain(words(view.title)));
    const surface = {
      values: this.values,
      errors: this.errors,
      act: (action) => this.host.act({ ...action, view_id: this.id }),
      hold: (action) => this.host.hold({ ...action, view_id: this.id }),
    };
    this.blocks.show(view.blocks ?? [], surface);
    if ((view.blocks ?? []).length === 0) this.body.replaceChildren(unknown("modal", "without blocks"));
    const state = JSON.stringify([view.submit, view.close, this.busy, this.depth]);
    if (state === this.footState) return;
    this.footState = state;
    this.foot.replaceChildren(
      h("button", { type: "button", class: "button", testid: "modal-close", onclick: () => this.close() }, words(view.close) || (view.submit ? "Cancel" : "Close")),
      ...(view.submit
        ? [h("button", { type: "submit", class: "button primary solid", testid: "modal-submit", "aria-busy": this.busy ? "true" : null }, h("span", { class: "button-label" }, words(view.submit)))]
        : []),
    );
  }

  raise(top) {
    if (top && !this.dialog.open) {
      this.dialog.showModal();
      const first = this.dialog.querySelector("[autofocus], .dialog-body input, .dialog-body textarea, .dialog-body select");
      (first ?? this.dialog.querySelector('[data-testid="modal-submit"], [data-testid="modal-close"]'))?.focus();
    } else if (!top && this.dialog.open) this.dialog.close();
  }

  async submit() {
    if (this.busy) return;
    this.errors = this.values.faults(this.view.blocks);
    if (Object.keys(this.errors).length > 0) return this.#showErrors();
    this.busy = true;
    this.#draw();
    try {
      const answer = await this.host.submit(this.id, this.values.collect(this.view.blocks));
      this.errors = answer.errors ?? {};
      if (!answer.ok && Object.keys(this.errors).length === 0) toast(answer.error ?? "The app did not take the form.", { tone: "error" });
    } catch (error) {
      toast(error.message, { tone: "error" });
    } finally {
      this.busy = false;
      this.#draw();
    }
    if (Object.keys(this.errors).length > 0) this.#showErrors();
  }

  #showErrors() {
    this.#draw();
    const field = this.dialog.querySelector('[aria-invalid="true"]');
    (field?.matches("input, textarea, select") ? field : field?.querySelector("input"))?.focus();
    field?.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.dialog.close();
    this.host.closeView(this.id);
  }

  remove() {
    this.dialog.close();
    this.dialog.remove();
  }
}
