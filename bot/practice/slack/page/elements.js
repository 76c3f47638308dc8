/** The interactive elements of Block Kit. Each is drawn from its JSON and tells the surface what was done. */

import { allChannels, everyone } from "./directory.js";
import { h, icon, safeUrl } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { ask, menu } from "./layers.js";
import { textObject, words } from "./mrkdwn.js";

/**
 * @typedef {object} Surface where an element stands
 * @property {import("./values.js").Values} values what is filled in there
 * @property {(action: object) => Promise<void>} act deliver a block action
 * @property {(action: object) => void} [hold] tell the workspace what was entered, without an action
 * @property {Record<string, string>} [errors] by block_id
 */

/**
 * Draw one element, or null when this page does not know its type.
 * @param {object} element
 * @param {object} block the block it stands in
 * @param {Surface} surface
 */
export function element(element, block, surface) {
  const draw = KINDS[element?.type];
  return draw ? draw(element, new Wire(element, block, surface)) : null;
}

export const isInteractive = (type) => type in KINDS;

/** Between a control and its surface: keeps the value, asks for confirmation, delivers the action. */
class Wire {
  constructor(element, block, surface) {
    this.element = element;
    this.block = block;
    this.surface = surface;
    this.delivers = block.type !== "input" || block.dispatch_action === true;
    this.id = `in-${crypto.randomUUID().slice(0, 8)}`;
  }

  get value() {
    return this.surface.values.get(this.block.block_id, this.element);
  }

  get label() {
    return words(this.block.label) || words(this.element.placeholder) || words(this.block.text) || this.element.action_id;
  }

  /** Properties every control carries: how tests and screen readers find it, and whether it is in fault. */
  props(kind) {
    const error = this.surface.errors?.[this.block.block_id];
    return {
      id: this.id,
      testid: `${kind}-${this.element.action_id}`,
      "aria-label": this.block.type === "input" ? null : this.label,
      "aria-labelledby": this.block.type === "input" ? `label-${this.block.block_id}` : null,
      "aria-describedby": error ? `error-${this.block.block_id}` : null,
      "aria-invalid": error ? "true" : null,
      autofocus: this.element.focus_on_load === true,
    };
  }

  /**
   * Keep a new value (`{selected_…: chosen}`) and deliver it where the element does so at once; a form's other inputs are
   * told to the workspace quietly, since the app sees them in `view.state` with the next button. Resolves false when the
   * person thought again.
   */
  async change(value, node) {
    if (this.delivers && this.element.confirm && !(await ask(this.element.confirm))) return false;
    this.surface.values.set(this.block.block_id, this.element, value);
    const [chosen] = Object.values(value);
    if (this.delivers) await this.deliver({ selected_option: chosen }, node);
    else if (chosen !== null) this.surface.hold?.({ block_id: this.block.block_id, action_id: this.element.action_id, selected_option: chosen });
    return true;
  }

  /** @param {{value?: string, selected_option?: unknown}} detail a button's value, or whatever was chosen or typed */
  async deliver(detail, node) {
    node?.setAttribute("aria-busy", "true");
    try {
      await this.surface.act({ block_id: this.block.block_id, action_id: this.element.action_id, ...detail });
    } finally {
      node?.removeAttribute("aria-busy");
    }
  }
}

const KINDS = {
  button,
  overflow,
  static_select: select,
  users_select: (e, wire) => idSelect(e, wire, "selected_user", everyone().filter((p) => p.kind !== "bot").map((p) => [p.id, p.display || p.name])),
  channels_select: (e, wire) => idSelect(e, wire, "selected_channel", channelNames()),
  conversations_select: (e, wire) => idSelect(e, wire, "selected_conversation", channelNames()),
  multi_static_select: (e, wire) => choices(e, wire, "checkbox"),
  checkboxes: (e, wire) => choices(e, wire, "checkbox"),
  radio_buttons: (e, wire) => choices(e, wire, "radio"),
  datepicker: (e, wire) => picker(e, wire, "date", "selected_date"),
  timepicker: (e, wire) => picker(e, wire, "time", "selected_time"),
  datetimepicker: moment,
  plain_text_input: typed,
  email_text_input: typed,
  url_text_input: typed,
  number_input: typed,
};

const channelNames = () => allChannels().map((c) => [c.id, c.kind === "dm" ? c.name : `#${c.name}`]);

function button(element, wire) {
  const href = element.url ? safeUrl(element.url) : null;
  const look = ["primary", "danger"].includes(element.style) ? `button ${element.style}` : "button";
  const props = {
    class: look,
    testid: `button-${element.action_id}`,
    "aria-label": element.accessibility_label,
  };
  const press = async (event) => {
    const node = event.currentTarget;
    if (node.getAttribute("aria-busy") === "true") return;
    if (element.confirm) {
      event.preventDefault();
      if (!(await ask(element.confirm))) return;
      if (href) open(href, "_blank", "noopener,noreferrer");
    }
    await wire.deliver(element.value === undefined ? {} : { value: element.value }, node);
  };
  const label = h("span", { class: "button-label" }, textObject(element.text));
  // Slack delivers the click of a link button too, so this page does as well.
  if (href) return h("a", { ...props, href, target: "_blank", rel: "noopener noreferrer", onclick: press }, label);
  return h("button", { ...props, type: "button", onclick: press }, label);
}

function overflow(element, wire) {
  const open = async (event) => {
    const node = event.currentTarget;
    const items = (element.options ?? []).map((option) => ({
      label: textObject(option.text),
      testid: `option-${option.value}`,
      choose: async () => {
        if (element.confirm && !(await ask(element.confirm))) return;
        const href = option.url ? safeUrl(option.url) : null;
        if (href) window.open(href, "_blank", "noopener,noreferrer");
        await wire.deliver({ selected_option: option }, node);
      },
    }));
    menu(node, items, { label: "More actions" });
  };
  return h(
    "button",
    {
      type: "button",
      class: "button overflow",
      testid: `overflow-${element.action_id}`,
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      onclick: open,
    },
    icon("more"),
  );
}

function select(element, wire) {
  const groups = element.option_groups ?? [{ options: element.options ?? [] }];
  const options = groups.flatMap((group) => group.options);
  const chosen = wire.value.selected_option?.value ?? "";
  const draw = (option) => h("option", { value: option.value }, withEmoji(words(option.text)));
  const node = h(
    "select",
    {
      ...wire.props("select"),
      class: "select",
      onchange: async () => {
        const option = options.find((candidate) => candidate.value === node.value) ?? null;
        if (!(await wire.change({ selected_option: option }, node))) node.value = chosen;
      },
    },
    h("option", { value: "" }, withEmoji(words(element.placeholder)) || "Choose an option"),
    groups.map((group) => (group.label ? h("optgroup", { label: withEmoji(words(group.label)) }, group.options.map(draw)) : group.options.map(draw))),
  );
  node.value = chosen;
  return h("span", { class: "select-box" }, node, icon("chevron"));
}

function idSelect(element, wire, field, entries) {
  const node = h(
    "select",
    { ...wire.props("select"), class: "select", onchange: () => wire.change({ [field]: node.value || null }, node) },
    h("option", { value: "" }, words(element.placeholder) || "Choose"),
    entries.map(([id, name]) => h("option", { value: id }, name)),
  );
  node.value = wire.value[field] ?? "";
  return h("span", { class: "select-box" }, node, icon("chevron"));
}

/** Radio buttons and checkboxes: several small inputs that make one value. */
function choices(element, wire, type) {
  const single = type === "radio";
  const options = element.options ?? (element.option_groups ?? []).flatMap((group) => group.options);
  const chosen = new Set(single ? [wire.value.selected_option?.value] : wire.value.selected_options.map((option) => option.value));
  const boxes = options.map((option) =>
    h("input", { type, name: wire.id, value: option.value, checked: chosen.has(option.value), testid: `option-${option.value}`, onchange: changed }),
  );
  const node = h(
    "div",
    { ...wire.props(single ? "radio" : "checkboxes"), class: "choices", role: single ? "radiogroup" : "group" },
    options.map((option, index) =>
      h(
        "label",
        { class: "choice" },
        boxes[index],
        h("span", null, textObject(option.text), option.description && h("span", { class: "choice-hint" }, textObject(option.description))),
      ),
    ),
  );
  async function changed() {
    const now = options.filter((_, index) => boxes[index].checked);
    const kept = await wire.change(single ? { selected_option: now[0] ?? null } : { selected_options: now }, node);
    if (!kept) boxes.forEach((box, index) => (box.checked = chosen.has(options[index].value)));
  }
  return node;
}

function picker(element, wire, type, field) {
  const node = h("input", {
    ...wire.props(type),
    type,
    class: "field",
    value: wire.value[field] ?? "",
    onchange: () => wire.change({ [field]: node.value || null }, node),
  });
  return node;
}

/** Date and time in the reader's zone; Slack's value is Unix seconds. */
function moment(element, wire) {
  const local = (unix) => {
    const date = new Date(unix * 1000);
    return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const unix = wire.value.selected_date_time;
  const node = h("input", {
    ...wire.props("datetime"),
    type: "datetime-local",
    class: "field",
    value: unix ? local(unix) : "",
    onchange: () => wire.change({ selected_date_time: node.value ? Math.floor(new Date(node.value).getTime() / 1000) : null }, node),
  });
  return node;
}

const INPUT_TYPES = { email_text_input: "email", url_text_input: "url", number_input: "text", plain_text_input: "text" };

function typed(element, wire) {
  const triggers = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const keep = () => wire.surface.values.set(wire.block.block_id, element, { value: node.value || null });
  const send = () => wire.delivers && wire.block.type === "input" && wire.deliver({ selected_option: node.value }, node);
  const props = {
    ...wire.props("input"),
    class: "field",
    placeholder: withEmoji(words(element.placeholder)) || null,
    maxlength: element.max_length,
    value: wire.value.value ?? "",
    onchange: () => wire.delivers || wire.change({ value: node.value || null }, node),
    oninput: () => {
      keep();
      if (triggers.includes("on_character_entered")) send();
    },
    onkeydown: (event) => {
      if (event.key === "Enter" && !element.multiline && wire.delivers && triggers.includes("on_enter_pressed")) {
        event.preventDefault();
        send();
      }
    },
  };
  const node = element.multiline
    ? h("textarea", { ...props, rows: 4 })
    : h("input", { ...props, type: INPUT_TYPES[element.type], inputmode: element.type === "number_input" ? "decimal" : null });
  return node;
}
