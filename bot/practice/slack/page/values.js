/** What has been filled in on one surface (a message, a modal, Home), in the shape of Slack's `state.values`. */

/** How each input element names its value, and what it starts with. */
const STATEFUL = {
  plain_text_input: (e) => ({ value: e.initial_value ?? null }),
  email_text_input: (e) => ({ value: e.initial_value ?? null }),
  url_text_input: (e) => ({ value: e.initial_value ?? null }),
  number_input: (e) => ({ value: e.initial_value ?? null }),
  static_select: (e) => ({ selected_option: e.initial_option ?? null }),
  radio_buttons: (e) => ({ selected_option: e.initial_option ?? null }),
  checkboxes: (e) => ({ selected_options: e.initial_options ?? [] }),
  multi_static_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  datepicker: (e) => ({ selected_date: e.initial_date ?? null }),
  timepicker: (e) => ({ selected_time: e.initial_time ?? null }),
  datetimepicker: (e) => ({ selected_date_time: e.initial_date_time ?? null }),
  users_select: (e) => ({ selected_user: e.initial_user ?? null }),
  channels_select: (e) => ({ selected_channel: e.initial_channel ?? null }),
  conversations_select: (e) => ({ selected_conversation: e.initial_conversation ?? null }),
};

/** Every element that takes input in these blocks, with its block. */
export function* inputs(blocks) {
  for (const block of blocks ?? []) {
    const elements = [block.element, block.accessory, ...(block.type === "actions" ? (block.elements ?? []) : [])];
    for (const element of elements) if (element && STATEFUL[element.type]) yield { block, element };
  }
}

export class Values {
  constructor() {
    this.filled = new Map();
  }

  #key(blockId, element) {
    return `${blockId}\n${element.action_id}\n${element.type}`;
  }

  /** The current value of an element: what the person entered, else what the element starts with. */
  get(blockId, element) {
    return this.filled.get(this.#key(blockId, element)) ?? { type: element.type, ...STATEFUL[element.type](element) };
  }

  set(blockId, element, value) {
    this.filled.set(this.#key(blockId, element), { type: element.type, ...value });
  }

  /** `state.values` of these blocks: {block_id: {action_id: value}}. */
  collect(blocks) {
    const values = {};
    for (const { block, element } of inputs(blocks)) {
      (values[block.block_id] ??= {})[element.action_id] = this.get(block.block_id, element);
    }
    return values;
  }

  /** What the client refuses by itself before anything is sent: {block_id: sentence}. */
  faults(blocks) {
    const faults = {};
    for (const { block, element } of inputs(blocks)) {
      if (block.type !== "input") continue;
      const fault = faultOf(this.get(block.block_id, element), element, block.optional === true);
      if (fault) faults[block.block_id] = fault;
    }
    return faults;
  }
}

function faultOf(entry, element, optional) {
  const content = Object.entries(entry).find(([name]) => name !== "type")?.[1];
  const empty = content === null || content === "" || (Array.isArray(content) && content.length === 0);
  if (empty) return optional ? null : "Fill in this field.";
  if (element.min_length && content.length < element.min_length) return `At least ${element.min_length} characters.`;
  if (element.max_length && content.length > element.max_length) return `At most ${element.max_length} characters.`;
  if (element.type !== "number_input") return null;
  const number = Number(content);
  if (!Number.isFinite(number)) return "Enter a number.";
  if (!element.is_decimal_allowed && !Number.isInteger(number)) return "Enter a whole number.";
  if (element.min_value !== undefined && number < Number(element.min_value)) return `At least ${element.min_value}.`;
  if (element.max_value !== undefined && number > Number(element.max_value)) return `At most ${element.max_value}.`;
  return null;
}
