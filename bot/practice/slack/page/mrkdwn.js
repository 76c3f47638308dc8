/** Slack's own text format, read character by character into nodes. */

import { channel, nameOf, person } from "./directory.js";
import { fragment, h, safeUrl } from "./dom.js";
import { emoji, EMOJI, signs } from "./emoji.js";
import { formatted, fullTime } from "./when.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const STYLES = { "*": "strong", _: "em", "~": "s" };

export const unescape = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/** A text object of Block Kit, `mrkdwn` or `plain_text`, as nodes. */
export function textObject(object) {
  if (!object) return fragment();
  if (typeof object === "string") return plain(object);
  return object.type === "mrkdwn" ? mrkdwn(object.text ?? "", !object.verbatim) : plain(object.text ?? "", object.emoji !== false);
}

/** The bare string of a text object, for labels and titles. */
export const words = (object) => unescape(typeof object === "string" ? object : (object?.text ?? ""));

/** Plain text: nothing is formatted, shortcodes become emoji. */
export function plain(text, withShortcodes = true) {
  const parts = [];
  let rest = 0;
  if (withShortcodes) {
    for (const match of text.matchAll(/:([a-z0-9_+'-]+):/g)) {
      if (!EMOJI.has(match[1])) continue;
      parts.push(signs(unescape(text.slice(rest, match.index))), emoji(match[1]));
      rest = match.index + match[0].length;
    }
  }
  parts.push(signs(unescape(text.slice(rest))));
  return fragment(parts);
}

/** Formatted text: code fences first, then quotes and lists by line, then what stands within a line. */
export function mrkdwn(text, autolink = true) {
  const parts = [];
  const fences = text.split("```");
  fences.forEach((part, index) => {
    const closed = index % 2 === 1 && index < fences.length - 1;
    if (closed) parts.push(h("pre", { class: "pre", tabindex: 0 }, bare(part.replace(/^\n|\n$/g, ""))));
    else if (part) {
      const fence = index % 2 === 1 ? "```" : "";
      const trimmed = index > 0 && !fence ? part.replace(/^\n/, "") : part;
      if (trimmed) parts.push(lines(fence + trimmed, autolink));
    }
  });
  return fragment(parts);
}

const LINE_KINDS = [
  { kind: "quote", start: /^(?:&gt;|>) ?/ },
  { kind: "ul", start: /^\s*[•◦‣-] +/ },
  { kind: "ol", start: /^\s*(\d{1,3})\. +/ },
];

function lines(text, autolink) {
  const groups = [];
  for (const line of text.split("\n")) {
    const found = LINE_KINDS.find(({ start }) => start.test(line));
    const kind = found?.kind ?? "p";
    const content = found ? line.replace(found.start, "") : line;
    const last = groups.at(-1);
    if (last?.kind === kind) last.content.push(content);
    else groups.push({ kind, content: [content], first: kind === "ol" ? Number(line.match(found.start)[1]) : 1 });
  }
  return fragment(
    groups.map(({ kind, content, first }, index) => {
      if (kind === "quote") return h("blockquote", null, inline(content.join("\n"), autolink));
      if (kind === "ul") return h("ul", null, content.map((item) => h("li", null, inline(item, autolink))));
      if (kind === "ol") return h("ol", { start: first }, content.map((item) => h("li", null, inline(item, autolink))));
      // A blank line beside a list or quote is that element's own margin, not another line.
      if (index > 0 && content[0] === "") content.shift();
      if (index < groups.length - 1 && content.at(-1) === "") content.pop();
      return content.length > 0 && h("span", { class: "line" }, inline(content.join("\n"), autolink));
    }),
  );
}

/** What may stand within lines. Each rule looks at `text` from `at` and answers [node, characters taken], or null. */
const RULES = [control, code, styled, shortcode, address];

function inline(text, autolink) {
  const parts = [];
  let run = "";
  let at = 0;
  const flush = () => {
    if (run) parts.push(signs(unescape(run)));
    run = "";
  };
  while (at < text.length) {
    if (text[at] === "\n") {
      flush();
      parts.push(h("br"));
      at += 1;
      continue;
    }
    let taken = null;
    for (const rule of RULES) {
      taken = rule(text, at, autolink);
      if (taken) break;
    }
    if (taken) {
      flush();
      parts.push(taken[0]);
      at += taken[1];
    } else {
      run += text[at];
      at += 1;
    }
  }
  flush();
  return fragment(parts);
}

function code(text, at) {
  if (text[at] !== "`") return null;
  const end = text.indexOf("`", at + 1);
  if (end <= at + 1 || text.slice(at, end).includes("\n")) return null;
  const shown = bare(text.slice(at + 1, end));
  return [h("code", { class: shown.length < 24 ? "short" : null }, shown), end + 1 - at];
}

const isWord = (character) => character !== undefined && /[\p{L}\p{N}]/u.test(character);

function styled(text, at, autolink) {
  const mark = text[at];
  const tag = STYLES[mark];
  if (!tag || isWord(text[at - 1]) || text[at - 1] === mark) return null;
  const next = text[at + 1];
  if (next === undefined || next === mark || /\s/.test(next)) return null;
  for (let end = at + 1; end < text.length && text[end] !== "\n"; end += 1) {
    if (text[end] === "<" && text.indexOf(">", end) > 0) end = text.indexOf(">", end);
    else if (text[end] === "`" && text.indexOf("`", end + 1) > 0) end = text.indexOf("`", end + 1);
    else if (text[end] === mark && !/\s/.test(text[end - 1]) && !isWord(text[end + 1]) && text[end + 1] !== mark) {
      return [h(tag, null, inline(text.slice(at + 1, end), autolink)), end + 1 - at];
    }
  }
  return null;
}

function shortcode(text, at) {
  const match = text[at] === ":" && /^:([a-z0-9_+'-]+):/.exec(text.slice(at, at + 60));
  return match && EMOJI.has(match[1]) ? [emoji(match[1]), match[0].length] : null;
}

function address(text, at, autolink) {
  if (!autolink || text[at] !== "h" || isWord(text[at - 1])) return null;
  const match = /^https?:\/\/[^\s<>|]+/.exec(text.slice(at, at + 3000));
  if (!match) return null;
  const found = match[0].replace(/[.,;:!?)\]*_~]+$/, "");
  return [link(unescape(found)), found.length];
}

function control(text, at) {
  if (text[at] !== "<") return null;
  const end = text.indexOf(">", at);
  if (end < 0 || end === at + 1) return null;
  const [head, ...rest] = text.slice(at + 1, end).split("|");
  const label = rest.join("|");
  const node = reference(head, label);
  return node && [node, end + 1 - at];
}

function reference(head, label) {
  if (head.startsWith("@")) return mention(head.slice(1), label);
  if (head.startsWith("#")) return channelLink(head.slice(1), label);
  if (head.startsWith("!date^")) return date(head, label);
  if (head.startsWith("!subteam^")) return group(head.slice("!subteam^".length), label);
  if (/^!(here|channel|everyone)$/.test(head)) return broadcast(head.slice(1));
  if (head.startsWith("!")) return fragment(unescape(label || head));
  return link(unescape(head), label && unescape(label));
}

export function mention(id, label) {
  const known = person(id);
  return h("span", { class: known?.kind === "bot" ? "mention mention-bot" : "mention", title: id }, `@${known ? nameOf(id) : label || id}`);
}

export function channelLink(id, label) {
  const known = channel(id);
  return h("a", { class: "mention", href: `?channel=${encodeURIComponent(id)}`, "data-channel": id }, `#${known?.name ?? (label || id)}`);
}

export const group = (id, label) => h("span", { class: "mention", title: id }, label ? unescape(label) : `@${id}`);
export const broadcast = (range) => h("span", { class: "mention mention-crowd" }, `@${range}`);

/** A link when the address may be followed, otherwise its label as text beside a sign that it leads nowhere. */
export function link(url, label) {
  const href = safeUrl(url);
  const shown = label || url;
  if (!href) return h("span", { class: "dead-link", title: "This address cannot be followed" }, shown);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer", title: label ? href : null }, label ? plain(label) : shown);
}

function date(head, fallback) {
  const [, unix, format, url] = head.split("^");
  const shown = format ? formatted(Number(unix), format) : null;
  if (shown === null) return fragment(unescape(fallback || head));
  const node = h("time", { title: fullTime(new Date(Number(unix) * 1000)) }, shown);
  return url ? h("a", { href: safeUrl(url), target: "_blank", rel: "noopener noreferrer" }, node) : node;
}

/** Text within code: no style applies, but references still read as what they name. */
function bare(text) {
  return unescape(
    text.replace(/<([^<>\n]+)>/g, (whole, inner) => {
      const [head, label] = inner.split("|");
      if (head.startsWith("@")) return `@${person(head.slice(1)) ? nameOf(head.slice(1)) : label || head.slice(1)}`;
      return /^(https?:|mailto:)/.test(head) ? label || head : whole;
    }),
  );
}
