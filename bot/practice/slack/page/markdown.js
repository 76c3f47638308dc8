/** The `markdown` block: standard Markdown in the plain forms a report uses. */

import { h } from "./dom.js";
import { link, plain } from "./mrkdwn.js";

/** @param {string} text */
export function markdown(text) {
  return h("div", { class: "markdown" }, blocks(text.replace(/\r\n?/g, "\n").split("\n")));
}

const FENCE = /^\s*```/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const BULLET = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*\d{1,9}[.)]\s+(.*)$/;
const QUOTE = /^\s*>\s?(.*)$/;
const RULE = /^\s*(?:-{3,}|\*{3,}|_{3,})\s*$/;
const ROW = /^\s*\|.*\|\s*$/;

function blocks(lines) {
  const out = [];
  let at = 0;
  const collect = (pattern) => {
    const found = [];
    for (let match = pattern.exec(lines[at] ?? ""); match && at < lines.length; match = pattern.exec(lines[at] ?? "")) {
      found.push(match[1] ?? match[0]);
      at += 1;
    }
    return found;
  };
  while (at < lines.length) {
    const line = lines[at];
    if (FENCE.test(line)) {
      const end = lines.findIndex((other, index) => index > at && FENCE.test(other));
      const stop = end < 0 ? lines.length : end;
      out.push(h("pre", { class: "pre", tabindex: 0 }, lines.slice(at + 1, stop).join("\n")));
      at = stop + 1;
    } else if (HEADING.test(line)) {
      const [, marks, title] = HEADING.exec(line);
      out.push(h(`h${Math.min(marks.length + 2, 6)}`, null, spans(title)));
      at += 1;
    } else if (RULE.test(line)) {
      out.push(h("hr"));
      at += 1;
    } else if (QUOTE.test(line)) out.push(h("blockquote", null, blocks(collect(QUOTE))));
    else if (BULLET.test(line)) out.push(h("ul", null, collect(BULLET).map((item) => h("li", null, spans(item)))));
    else if (NUMBER.test(line)) out.push(h("ol", null, collect(NUMBER).map((item) => h("li", null, spans(item)))));
    else if (ROW.test(line)) out.push(table(collect(ROW)));
    else if (!line.trim()) at += 1;
    else out.push(h("p", null, spans(paragraph())));
  }
  return out;

  function paragraph() {
    const found = [];
    const starts = [FENCE, HEADING, RULE, QUOTE, BULLET, NUMBER, ROW];
    while (at < lines.length && lines[at].trim() && (found.length === 0 || !starts.some((start) => start.test(lines[at])))) {
      found.push(lines[at]);
      at += 1;
    }
    return found.join("\n");
  }
}

function table(rows) {
  const cells = rows.map((row) => row.trim().slice(1, -1).split("|").map((cell) => cell.trim()));
  const body = cells.filter((row, index) => index !== 1 || !row.every((cell) => /^:?-+:?$/.test(cell)));
  return h(
    "div",
    { class: "table-scroll", tabindex: 0 },
    h("table", null, body.map((row, index) => h("tr", null, row.map((cell) => h(index === 0 ? "th" : "td", null, spans(cell)))))),
  );
}

const SPAN = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|~~(.+?)~~|\*([^\s*](?:[^*]*[^\s*])?)\*|\b_([^\s_](?:[^_]*[^\s_])?)_\b|!?\[([^\]\n]*)\]\(([^()\s]+)\)/;

function spans(text) {
  const out = [];
  let rest = text;
  for (let match = SPAN.exec(rest); match; match = SPAN.exec(rest)) {
    const [whole, , code, strong, strong2, strike, em, em2, label, url] = match;
    out.push(plain(rest.slice(0, match.index)));
    if (code !== undefined) out.push(h("code", null, code));
    else if (url !== undefined) out.push(link(url, label));
    else {
      const tag = strike !== undefined ? "s" : (strong ?? strong2) !== undefined ? "strong" : "em";
      out.push(h(tag, null, spans(strike ?? strong ?? strong2 ?? em ?? em2)));
    }
    rest = rest.slice(match.index + whole.length);
  }
  out.push(plain(rest));
  return out;
}
