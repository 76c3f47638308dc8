/** Where a person types: a growing field with suggestions for commands, people and emoji, and a memory of what was sent. */

import { everyone } from "./directory.js";
import { h } from "./dom.js";
import { EMOJI } from "./emoji.js";

const SHOWN = 8;
const REMEMBERED = 50;

export class Composer {
  /**
   * @param {{form: HTMLFormElement, commands: () => object[], send: (text: string) => Promise<boolean>}} parts
   *   `send` answers false when the text should stay in the field.
   */
  constructor({ form, commands, send }) {
    this.field = form.querySelector("textarea");
    this.button = form.querySelector('[type="submit"]');
    this.list = form.querySelector("[role=listbox]");
    this.commands = commands;
    this.send = send;
    this.past = [];
    this.at = 0;
    this.offers = [];
    this.chosen = -1;
    this.sending = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.field.addEventListener("input", () => {
      this.at = this.past.length;
      this.#grow();
      this.#suggest();
    });
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => this.#offer([]));
    this.#grow();
  }

  set placeholder(text) {
    this.field.placeholder = text;
    this.field.setAttribute("aria-label", text);
  }

  get text() {
    return this.field.value;
  }

  set text(value) {
    this.field.value = value;
    this.#grow();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  #grow() {
    this.field.style.setProperty("height", "auto");
    const needed = this.field.scrollHeight;
    // A field that is not on screen measures nothing; its natural one line is right then.
    if (needed > 0) this.field.style.setProperty("height", `${Math.min(needed, 200)}px`);
    this.button.disabled = this.field.value.trim() === "";
  }

  async #submit() {
    const text = this.field.value.trim();
    if (!text || this.sending) return;
    this.sending = true;
    this.#offer([]);
    this.text = "";
    this.past = [...this.past.filter((line) => line !== text), text].slice(-REMEMBERED);
    this.at = this.past.length;
    try {
      const done = await this.send(text);
      if (!done && this.field.value === "") this.text = text;
    } finally {
      this.sending = false;
    }
  }

  #key(event) {
    if (event.isComposing) return;
    if (this.offers.length > 0 && this.#keyInOffers(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void this.#submit();
    } else if (event.key === "ArrowUp" && this.field.selectionEnd === 0 && this.at > 0) this.#recall(event, -1);
    else if (event.key === "ArrowUp" && this.at < this.past.length && this.at > 0) this.#recall(event, -1);
    else if (event.key === "ArrowDown" && this.at < this.past.length && this.field.selectionStart === this.field.value.length) this.#recall(event, 1);
  }

  #recall(event, step) {
    event.preventDefault();
    this.at = Math.max(0, Math.min(this.past.length, this.at + step));
    this.text = this.past[this.at] ?? "";
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }

  #keyInOffers(event) {
    const last = this.offers.length - 1;
    if (event.key === "Escape") this.#offer([]);
    else if (event.key === "ArrowDown") this.#choose(this.chosen >= last ? 0 : this.chosen + 1);
    else if (event.key === "ArrowUp") this.#choose(this.chosen <= 0 ? last : this.chosen - 1);
    else if (event.key === "Tab" && !event.shiftKey) this.#accept(this.offers[Math.max(this.chosen, 0)]);
    else if (event.key === "Enter" && !event.shiftKey && this.chosen >= 0) this.#accept(this.offers[this.chosen]);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #suggest() {
    const { value, selectionStart: caret } = this.field;
    const before = value.slice(0, caret);
    if (before.startsWith("/") && !before.includes("\n")) return this.#offer(commandOffers(this.commands(), before), before);
    const word = /(?:^|\s)([@:])([\w+.-]{0,30})$/.exec(before);
    if (word?.[1] === "@") return this.#offer(peopleOffers(word[2], caret), null);
    if (word?.[1] === ":" && word[2].length > 1) return this.#offer(emojiOffers(word[2], caret), null);
    return this.#offer([]);
  }

  /** Show offers. The first is chosen beforehand while what is typed is not yet something that could be sent as it is. */
  #offer(offers, typed = "") {
    this.offers = offers;
    this.list.hidden = offers.length === 0;
    this.field.setAttribute("aria-expanded", String(offers.length > 0));
    const complete = typed !== null && offers.some(({ insert }) => insert.trim() === typed.trim());
    const open = typed !== null && typed.endsWith(" ");
    this.list.replaceChildren(
      ...offers.map((offer, index) =>
        h(
          "div",
          {
            class: "offer",
            role: "option",
            id: `${this.list.id}-${index}`,
            testid: `suggestion-${index}`,
            onpointerdown: (event) => {
              event.preventDefault();
              this.#accept(offer);
            },
          },
          h("span", { class: "offer-main" }, offer.main),
          h("span", { class: "offer-hint" }, offer.hint),
        ),
      ),
    );
    this.#choose(offers.length > 0 && !complete && !open ? 0 : -1);
  }

  #choose(index) {
    this.chosen = index;
    [...this.list.children].forEach((node, at) => {
      node.setAttribute("aria-selected", String(at === index));
      if (at === index) node.scrollIntoView({ block: "nearest" });
    });
    if (index >= 0) this.field.setAttribute("aria-activedescendant", `${this.list.id}-${index}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  #accept({ insert, from = 0 }) {
    const caret = this.field.selectionStart;
    const text = this.field.value.slice(0, from) + insert + this.field.value.slice(caret);
    this.text = text;
    this.field.setSelectionRange(from + insert.length, from + insert.length);
    this.focus();
    this.#suggest();
  }
}

/**
 * Command lines that begin as typed. A usage hint lists them with `|`; what follows their fixed words (flags in brackets,
 * placeholders) is shown, not inserted.
 */
export function commandOffers(commands, typed) {
  const lines = commands.flatMap(({ command, description, usage_hint: hint }) => {
    const usages = (hint ?? "")
      .replace(/^\[(.*)\]$/s, "$1")
      .split(/\s*[|\n·]\s*/)
      .map((usage) => usage.trim())
      .filter((usage) => /^[a-z]/.test(usage));
    return [{ insert: `${command} `, main: command, hint: description }, ...usages.map((usage) => line(command, usage))];
  });
  const start = typed.toLowerCase();
  const inWord = start.includes(" ");
  return lines.filter(({ insert }) => insert.toLowerCase().startsWith(start) && (!inWord || insert.trim().includes(" "))).slice(0, inWord ? undefined : SHOWN);
}

function line(command, usage) {
  const fixed = [];
  const words = usage.split(/\s+/);
  while (words.length > 0 && /^(?:[a-z][\w-]*|--[\w-]+=[\w.-]+)$/.test(words[0])) fixed.push(words.shift());
  return { insert: `${[command, ...fixed].join(" ")} `, main: [command, ...fixed].join(" "), hint: words.join(" ") };
}

function peopleOffers(typed, caret) {
  const start = typed.toLowerCase();
  return everyone()
    .filter(({ name, display }) => [name, display].some((text) => text?.toLowerCase().startsWith(start)))
    .slice(0, SHOWN)
    .map(({ name, display, role_hint: role }) => ({ insert: `@${name} `, main: `@${name}`, hint: [display !== name && display, role].filter(Boolean).join(" · "), from: caret - typed.length - 1 }));
}

function emojiOffers(typed, caret) {
  return [...EMOJI]
    .filter(([name]) => name.startsWith(typed))
    .slice(0, SHOWN)
    .map(([name, character]) => ({ insert: `:${name}: `, main: `${character}  :${name}:`, hint: "", from: caret - typed.length - 1 }));
}
