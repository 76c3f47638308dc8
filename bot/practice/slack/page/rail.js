/** The left side: where one can go, who one is, and whether everything is connected. */

import { h, icon, Slot } from "./dom.js";
import { menu } from "./layers.js";
import { avatar } from "./message.js";

const KIND_WORDS = { guest: "guest", stranger: "other workspace" };

export class Rail {
  /**
   * @param {{places: HTMLElement, me: HTMLElement, compact: HTMLElement, link: HTMLElement}} parts
   * @param {{goHome: () => void, goChannel: (id: string) => void, become: (id: string) => void}} go
   */
  constructor({ places, me, compact, link }, go) {
    this.places = new Slot(places);
    this.me = new Slot(me);
    this.compact = new Slot(compact);
    this.link = new Slot(link);
    this.go = go;
    this.status = { status: "connecting" };
    for (const node of [me, compact]) node.addEventListener("click", () => this.#people(node));
  }

  show(state, place) {
    this.state = state;
    const { channels, app, me } = state;
    this.places.show([channels, app.name, place], () => [
      this.#group("Channels", channels.filter(({ kind }) => kind !== "dm"), place),
      this.#group("Direct messages", channels.filter(({ kind }) => kind === "dm"), place),
      h("h2", { class: "rail-title" }, "Apps"),
      h("ul", null, h("li", null, this.#app(app, place))),
    ]);
    this.me.show(me, () => [
      avatar(this.#self(), "small"),
      h("span", { class: "me-words" }, h("span", { class: "faint" }, `You are: ${me.display && me.display !== me.name ? me.display : ""}`), h("strong", null, me.name), me.role_hint && ` · ${me.role_hint}`),
      icon("chevron"),
    ]);
    this.me.node.setAttribute("aria-label", `You are ${me.display || me.name}, ${me.role_hint}. Switch person`);
    this.compact.show(me, () => avatar(this.#self(), "small"));
    this.#status();
  }

  #self() {
    return this.state.people.find(({ id }) => id === this.state.me.id) ?? this.state.me;
  }

  #group(title, channels, place) {
    if (channels.length === 0) return null;
    return [h("h2", { class: "rail-title" }, title), h("ul", null, channels.map((channel) => h("li", null, this.#channel(channel, place))))];
  }

  #channel({ id, name, kind, member, unread, topic }, place) {
    const here = place.surface === "channel" && place.channel === id;
    const fresh = unread > 0 && !here;
    return h(
      "button",
      {
        type: "button",
        class: ["place", here && "here", fresh && "fresh", !member && "outside"].filter(Boolean).join(" "),
        testid: `channel-${name}`,
        "aria-current": here ? "page" : null,
        title: topic || null,
        onclick: () => this.go.goChannel(id),
      },
      kind === "dm" ? h("span", { class: "dm-dot" }) : icon(kind === "private" ? "lock" : "hash"),
      h("span", { class: "place-name" }, name),
      fresh && h("span", { class: "unread", "aria-label": `${unread} unread` }, unread > 99 ? "99+" : unread),
    );
  }

  #app(app, place) {
    const here = place.surface === "home";
    return h(
      "button",
      { type: "button", class: here ? "place here" : "place", testid: "app-home", "aria-current": here ? "page" : null, onclick: () => this.go.goHome() },
      h("img", { src: "/static/mark.svg", alt: "", width: 18, height: 18 }),
      h("span", { class: "place-name" }, app.name),
      h("span", { class: "place-note" }, "Home"),
    );
  }

  /** The page's own line to the workspace, and the app's line to it. */
  setLink(status, detail) {
    this.status = { status, detail };
    this.#status();
  }

  #status() {
    const { status, detail } = this.status;
    const app = this.state?.app;
    const mode = { socket: "Socket Mode", http: "HTTP" }[app?.mode] ?? app?.mode ?? "";
    const rows =
      status === "lost"
        ? [["bad", "Workspace not reachable", detail]]
        : status === "connecting"
          ? [["wait", "Connecting…", null]]
          : app && [app.connected ? ["good", `${app.name} connected`, mode] : ["bad", `${app.name} not connected`, mode]];
    this.link.show(rows, () =>
      (rows || []).map(([tone, words, more]) => h("div", { class: `link-row ${tone}`, testid: "connection" }, h("span", { class: "dot" }), h("span", null, words), more && h("span", { class: "faint" }, more))),
    );
  }

  #people(anchor) {
    const people = this.state.people.filter(({ kind }) => kind !== "bot");
    menu(
      anchor,
      people.map((person) => ({
        label: h("span", { class: "person" }, avatar(person, "small"), h("span", null, person.display || person.name), KIND_WORDS[person.kind] && person.role_hint !== KIND_WORDS[person.kind] && h("span", { class: "tag" }, KIND_WORDS[person.kind])),
        hint: person.role_hint,
        current: person.id === this.state.me.id,
        testid: `person-${person.name}`,
        choose: () => this.go.become(person.id),
      })),
      { label: "Switch person", title: "Practise as", className: "people" },
    );
  }
}
