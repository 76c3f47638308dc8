/** One message as it stands in a channel or thread, edited in place as its state changes. */

import { Attachments, Blocks } from "./blocks.js";
import { nameOf, person } from "./directory.js";
import { h, icon, safeUrl, Slot } from "./dom.js";
import { emoji, EMOJI, PICKER, signs } from "./emoji.js";
import { menu } from "./layers.js";
import { mrkdwn } from "./mrkdwn.js";
import { fullTime, moment, ofTs, time } from "./when.js";

/** A round-cornered square with initials in the person's own colour, or the app's mark. */
export function avatar(who, size = "") {
  if (who?.kind === "bot") return h("img", { class: `avatar ${size}`, src: "/static/mark.svg", alt: "", width: 36, height: 36 });
  const name = who?.display || who?.name || "?";
  const initials = name
    .split(/[\s._-]+/)
    .filter(Boolean)
    .slice(0, 2)
    .map((word) => [...word][0].toUpperCase())
    .join("");
  const node = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials || "?");
  let sum = 7;
  for (const character of who?.id ?? name) sum = (sum * 31 + character.codePointAt(0)) % 360;
  node.style.setProperty("--hue", String(sum));
  return node;
}

export class Message {
  /**
   * @param {import("./app.js").Host} host what a message can ask the page to do
   * @param {boolean} inThread threads do not open threads
   */
  constructor(host, inThread) {
    this.host = host;
    this.inThread = inThread;
    this.head = new Slot(h("div", { class: "message-head" }));
    this.side = new Slot(h("div", { class: "message-side" }));
    this.text = new Slot(h("div", { class: "text message-text" }));
    this.card = h("div", { class: "card" });
    this.blocks = new Blocks(this.card);
    this.attachments = new Attachments(h("div", { class: "attachments" }));
    this.files = new Slot(h("div", { class: "files" }));
    this.reactions = new Slot(h("div", { class: "reactions" }));
    this.footer = new Slot(h("div", { class: "message-footer" }));
    this.article = h(
      "article",
      { testid: "message" },
      this.side.node,
      h(
        "div",
        { class: "message-main" },
        this.head.node,
        this.text.node,
        this.card,
        this.attachments.slot.node,
        this.files.node,
        this.reactions.node,
        this.footer.node,
      ),
      this.#toolbar(),
    );
    this.node = h("li", { class: "message" }, this.article);
    this.seen = false;
  }

  /** Draw `data`. `grouped`: the line above is by the same author, so the name is not repeated. */
  show(data, { grouped, pinned }) {
    const changed = this.seen && (data.text !== this.data.text || JSON.stringify(data.blocks) !== JSON.stringify(this.data.blocks));
    this.data = data;
    this.pinned = pinned;
    const author = this.author;
    this.node.dataset.testid = data.ephemeral ? `ephemeral-${data.id}` : `message-${data.ts}`;
    this.node.dataset.ts = data.ts;
    this.node.className = ["message", grouped && "grouped", pinned && "pinned", data.ephemeral && "ephemeral", /^channel_/.test(data.subtype ?? "") && "system"].filter(Boolean).join(" ");
    this.article.setAttribute("aria-label", `${author.display || author.name}, ${time(ofTs(data.ts))}`);

    this.side.show([grouped, author, data.ts], () => (grouped ? this.#stamp() : avatar(author)));
    this.head.show([grouped, author, data.ts, pinned, data.ephemeral], () => this.#head(author, grouped, pinned));
    const surface = { values: this.host.valuesOf(data.ephemeral ? data.id : data.ts), act: (action) => this.host.click(this.data, action) };
    const blocks = data.blocks ?? [];
    const hasAttachments = (data.attachments ?? []).some((item) => item.blocks || item.text || item.fallback || item.title);
    this.card.hidden = blocks.length === 0;
    this.card.classList.toggle("framed", blocks.length > 1 || blocks[0]?.type === "header");
    const fresh = this.blocks.show(blocks, surface);
    const plain = blocks.length === 0 && !(hasAttachments && !data.text);
    this.text.show([plain, data.text, data.edited, blocks.length > 0], () => plain && this.#text());
    this.attachments.show(data.attachments, surface);
    this.files.show(data.files ?? [], () => (data.files ?? []).map(file));
    this.reactions.show([data.reactions ?? [], this.host.me()], () => (data.reactions ?? []).map((reaction) => this.#reaction(reaction)));
    this.footer.show([data.reply_count, data.replies?.at(-1)?.ts, this.inThread, data.ephemeral], () => this.#footer());
    if (changed) this.#glow(fresh.length > 0 ? fresh : [this.text.node]);
    this.seen = true;
    return changed;
  }

  get author() {
    const { user, username, bot } = this.data;
    const known = person(user);
    if (this.data.from_slack) return { id: "slack", name: "Practice Slack", display: "Practice Slack", kind: "slack" };
    if (known && !(bot && username)) return known;
    return { id: user ?? "?", name: username || user, display: username || known?.display || user || "someone", kind: bot ? "bot" : "member" };
  }

  #stamp() {
    return h("time", { class: "side-time", datetime: ofTs(this.data.ts).toISOString() }, time(ofTs(this.data.ts)));
  }

  #head(author, grouped, pinned) {
    const at = ofTs(this.data.ts);
    const tag = { bot: "app", guest: "guest", stranger: "other workspace" }[author.kind];
    return [
      this.data.ephemeral && h("div", { class: "only-you" }, icon("lock"), "Only visible to you"),
      pinned && h("div", { class: "pin-note" }, icon("pin"), "Pinned"),
      !grouped && h("span", { class: "author" }, author.display || author.name),
      !grouped && tag && h("span", { class: "tag" }, tag),
      !grouped && h("time", { datetime: at.toISOString(), title: fullTime(at) }, time(at)),
    ];
  }

  #text() {
    return [mrkdwn(this.data.text ?? ""), this.data.edited && h("span", { class: "edited" }, " (edited)")];
  }

  #reaction({ name, users }) {
    const mine = users.includes(this.host.me());
    return h(
      "button",
      {
        type: "button",
        class: mine ? "reaction mine" : "reaction",
        "aria-pressed": String(mine),
        testid: `reaction-${name}`,
        title: `${users.map(nameOf).join(", ")} with :${name}:`,
        onclick: () => this.host.react(this.data.ts, name, mine),
      },
      emoji(name),
      h("span", null, users.length),
    );
  }

  #footer() {
    const { reply_count: count, replies = [], ts, ephemeral, id } = this.data;
    if (ephemeral) return h("button", { type: "button", class: "quiet-link", testid: `dismiss-${id}`, onclick: () => this.host.dismiss(id) }, "Dismiss message");
    if (this.inThread || !count) return null;
    const people = [...new Map(replies.map((reply) => [reply.user, person(reply.user) ?? { id: reply.user, kind: reply.bot ? "bot" : "member" }])).values()];
    const last = replies.at(-1);
    return h(
      "button",
      { type: "button", class: "thread-link", testid: `thread-${ts}`, onclick: () => this.host.openThread(ts) },
      h("span", { class: "faces" }, people.slice(0, 4).map((who) => avatar(who, "tiny"))),
      h("strong", null, count === 1 ? "1 reply" : `${count} replies`),
      last && h("span", { class: "faint" }, `last ${moment(ofTs(last.ts))}`),
    );
  }

  /** Icons that appear beside the message under the pointer or the focus. On a touch screen only the last one shows. */
  #toolbar() {
    const act = (name, label, onclick, testid, className = "") =>
      h("button", { type: "button", class: `icon-button ${className}`, "aria-label": label, title: label, testid, onclick }, icon(name));
    const quick = (name) =>
      h("button", { type: "button", class: "icon-button quick", "aria-label": `React with ${name}`, title: `:${name}:`, onclick: () => this.host.react(this.data.ts, name) }, signs(EMOJI.get(name)));
    return h(
      "div",
      { class: "toolbar", role: "group", "aria-label": "Message actions" },
      quick("white_check_mark"),
      quick("eyes"),
      act("smile", "Add a reaction", (event) => this.#pick(event.currentTarget), "react", "quick"),
      !this.inThread && act("reply", "Reply in thread", () => this.host.openThread(this.data.ts), "reply", "quick"),
      act("more", "More message actions", (event) => this.#more(event.currentTarget), "message-menu"),
    );
  }

  #pick(anchor) {
    const items = PICKER.map((name) => ({ label: signs(EMOJI.get(name)), title: `:${name}:`, testid: `pick-${name}`, choose: () => this.host.react(this.data.ts, name) }));
    menu(anchor, items, { label: "Reactions", className: "grid" });
  }

  #more(anchor) {
    const shortcuts = this.host.shortcuts().filter((shortcut) => shortcut.type !== "global");
    const items = [
      { label: "Add a reaction…", choose: () => this.#pick(anchor) },
      !this.inThread && { label: "Reply in thread", testid: "menu-reply", choose: () => this.host.openThread(this.data.ts) },
      this.data.thread_ts && this.data.thread_ts !== this.data.ts ? null : { label: this.pinned ? "Unpin from channel" : "Pin to channel", testid: "menu-pin", choose: () => this.host.pin(this.data.ts, this.pinned === true) },
      { label: "Copy link", choose: () => this.host.copyLink(this.data.ts) },
      ...shortcuts.map((shortcut) => ({
        label: shortcut.name,
        hint: this.host.appName(),
        testid: `shortcut-${shortcut.callback_id}`,
        title: shortcut.description,
        choose: () => this.host.shortcut(shortcut.callback_id, this.data.ts),
      })),
    ].filter(Boolean);
    menu(anchor, items, { label: "Message actions" });
  }

  /** A soft light on what an edit changed. */
  #glow(nodes) {
    for (const node of nodes) {
      node.classList.remove("glow");
      void node.offsetWidth;
      node.classList.add("glow");
      node.addEventListener("animationend", () => node.classList.remove("glow"), { once: true });
    }
  }
}

function file(data) {
  const href = safeUrl(data.url ?? "");
  const size = data.size >= 1024 ? `${(data.size / 1024).toFixed(1)} kB` : `${data.size ?? 0} B`;
  const isImage = /^image\//.test(data.mimetype ?? "") && href && new URL(href).origin === location.origin;
  return h(
    "a",
    { class: isImage ? "file image" : "file", href, target: "_blank", rel: "noopener noreferrer", testid: `file-${data.name}` },
    isImage ? h("img", { src: href, alt: data.name, loading: "lazy" }) : icon("file"),
    h("span", { class: "file-name" }, data.name),
    h("span", { class: "faint" }, size),
  );
}
