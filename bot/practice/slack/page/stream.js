/** A list of messages that grows at its end and changes in its middle, without moving what a person is reading. */

import { arrange, h } from "./dom.js";
import { nameOf } from "./directory.js";
import { Message } from "./message.js";
import { unescape } from "./mrkdwn.js";
import { day, ofTs } from "./when.js";

const GROUP_MS = 5 * 60_000;
const NEAR_END_PX = 60;

export class Stream {
  /**
   * @param {{scroller: HTMLElement, list: HTMLElement, pill: HTMLElement, host: import("./app.js").Host, inThread: boolean,
   *   announce: (text: string) => void}} parts
   */
  constructor({ scroller, list, pill, host, inThread, announce }) {
    Object.assign(this, { scroller, list, pill, host, inThread, announce });
    this.views = new Map();
    this.dividers = new Map();
    this.place = null;
    this.atEnd = true;
    this.missed = 0;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    pill.addEventListener("click", () => this.toEnd(true));
    // Cards grow while they run and pictures arrive late: whoever reads the end stays at the end.
    const follow = new ResizeObserver(() => this.atEnd && this.toEnd());
    follow.observe(list);
    follow.observe(scroller);
  }

  /**
   * @param {string} place changes when another conversation is shown
   * @param {object[]} messages oldest first; ephemerals carry `ephemeral: true` and an `id`
   * @param {Set<string>} pins
   */
  show(place, messages, pins) {
    const arrived = place !== this.place;
    if (arrived) {
      this.views.clear();
      this.place = place;
      this.missed = 0;
      this.atEnd = true;
    }
    const nodes = [];
    const kept = new Set();
    let fromMe = false;
    let before = null;
    for (const data of messages) {
      const key = data.ephemeral ? data.id : data.ts;
      kept.add(key);
      const date = day(ofTs(data.ts));
      if (!this.inThread && (before === null || date !== day(ofTs(before.ts)))) nodes.push(this.#divider(date));
      if (this.inThread && before !== null && nodes.length === 1) nodes.push(this.#divider(messages.length === 2 ? "1 reply" : `${messages.length - 1} replies`));
      let view = this.views.get(key);
      if (!view) {
        view = new Message(this.host, this.inThread);
        this.views.set(key, view);
        if (!arrived) {
          fromMe ||= data.user === this.host.me() && !data.ephemeral;
          this.#arrived(data, view);
        }
      }
      const wasText = view.data?.text;
      const changed = view.show(data, { grouped: this.#grouped(before, data, nodes), pinned: pins.has(data.ts) });
      if (changed && data.text !== wasText) this.announce(`${nameOf(data.user)} changed a message: ${unescape(data.text ?? "")}`);
      nodes.push(view.node);
      before = data;
    }
    for (const key of this.views.keys()) if (!kept.has(key)) this.views.delete(key);
    const stay = this.atEnd || fromMe;
    arrange(this.list, nodes);
    if (stay) this.toEnd();
    this.#pill();
  }

  #arrived(data, view) {
    view.node.classList.add("arriving");
    if (data.user !== this.host.me() || data.ephemeral) {
      if (!this.atEnd) this.missed += 1;
      this.announce(`${data.ephemeral ? "Only visible to you, " : ""}${nameOf(data.user)}: ${unescape(data.text ?? "")}`);
    }
  }

  #grouped(before, data, nodes) {
    if (!before || before.ephemeral || data.ephemeral || before.user !== data.user || before.username !== data.username) return false;
    if (nodes.at(-1)?.classList.contains("divider")) return false;
    return ofTs(data.ts) - ofTs(before.ts) < GROUP_MS && !before.reply_count;
  }

  #divider(label) {
    let node = this.dividers.get(label);
    if (!node) {
      node = h("li", { class: "divider", role: "separator", "aria-label": label }, h("span", null, label));
      this.dividers.set(label, node);
    }
    return node;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.atEnd) this.missed = 0;
    this.#pill();
  }

  #pill() {
    this.pill.hidden = this.atEnd || this.missed === 0;
    if (!this.pill.hidden) this.pill.querySelector("span").textContent = this.missed === 1 ? "1 new message" : `${this.missed} new messages`;
  }

  toEnd(smooth = false) {
    this.atEnd = true;
    this.missed = 0;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: smooth && !still ? "smooth" : "instant" });
    this.#pill();
  }

  /** Bring a message into view and light it up; tells whether it is here. */
  jump(ts) {
    const view = this.views.get(ts);
    if (!view) return false;
    this.atEnd = false;
    view.node.scrollIntoView({ block: "center" });
    view.node.classList.remove("found");
    void view.node.offsetWidth;
    view.node.classList.add("found");
    return true;
  }
}
