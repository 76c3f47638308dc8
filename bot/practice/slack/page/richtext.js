/** The `rich_text` block: sections, lists, quotes, preformatted text, and what stands in them. */

import { fragment, h, safeUrl } from "./dom.js";
import { emoji, signs } from "./emoji.js";
import { broadcast, channelLink, group, link, mention } from "./mrkdwn.js";
import { formatted, fullTime } from "./when.js";

/** @param {{elements: object[]}} block a `rich_text` block, or a table cell of that type */
export const richText = (block) => h("div", { class: "rich" }, (block.elements ?? []).map(container));

const CONTAINERS = {
  rich_text_section: (element) => h("div", { class: "rich-section" }, runs(element)),
  rich_text_preformatted: (element) => h("pre", { class: "pre", tabindex: 0 }, runs(element)),
  rich_text_quote: (element) => h("blockquote", null, runs(element)),
  rich_text_list: list,
};

function container(element) {
  return (CONTAINERS[element.type] ?? unknown)(element);
}

function list(element) {
  const ordered = element.style === "ordered";
  const props = {
    class: `rich-list depth-${Math.min(Number(element.indent) || 0, 8)}${element.border ? " bordered" : ""}`,
    start: ordered && element.offset ? Number(element.offset) + 1 : null,
  };
  return h(ordered ? "ol" : "ul", props, (element.elements ?? []).map((item) => h("li", null, runs(item))));
}

const runs = (element) => (element.elements ?? []).map(run);

const RUNS = {
  text: (run) => fragment(signs(run.text ?? "")),
  link: (run) => link(run.url, run.text),
  emoji: (run) => emoji(run.name),
  user: (run) => mention(run.user_id),
  usergroup: (run) => group(run.usergroup_id),
  channel: (run) => channelLink(run.channel_id),
  broadcast: (run) => broadcast(run.range),
  color: (run) => h("code", null, run.value),
  date: (run) => {
    const shown = formatted(run.timestamp, run.format ?? "{date_short_pretty} {time}") ?? run.fallback ?? "";
    const node = h("time", { title: fullTime(new Date(run.timestamp * 1000)) }, shown);
    return run.url ? h("a", { href: safeUrl(run.url), target: "_blank", rel: "noopener noreferrer" }, node) : node;
  },
};

const STYLES = { code: "code", strike: "s", italic: "em", bold: "strong", underline: "u" };

function run(element) {
  const draw = RUNS[element.type];
  if (!draw) return unknown(element);
  let node = draw(element);
  for (const [style, tag] of Object.entries(STYLES)) if (element.style?.[style]) node = h(tag, null, node);
  return node;
}

const unknown = (element) => h("span", { class: "unknown", role: "note" }, `not drawn here: ${element?.type ?? "an element without type"}`);
