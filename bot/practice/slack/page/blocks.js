/** Block Kit blocks. What this page does not know is drawn as a grey box that names it: nothing vanishes silently. */

import { arrange, h, keepFocus, safeUrl, Slot } from "./dom.js";
import { element, isInteractive } from "./elements.js";
import { markdown } from "./markdown.js";
import { textObject, words } from "./mrkdwn.js";
import { richText } from "./richtext.js";

const KINDS = { header, section, context, actions, divider, rich_text: richText, table, image, input, file, markdown: (b) => markdown(b.text ?? ""), alert };

/** @param {import("./elements.js").Surface} surface */
export function block(block, surface) {
  const draw = KINDS[block?.type];
  const node = draw ? draw(block, surface) : unknown("block", block?.type);
  node.classList.add("block", `block-${draw ? block.type : "unknown"}`);
  return node;
}

/** A grey box in place of something that cannot be drawn. */
export const unknown = (what, type) =>
  h("div", { class: "unknown", role: "note", testid: "unknown" }, `This page does not draw the ${what} `, h("code", null, String(type ?? "without type")));

/** Several blocks in one place, of which only those that change are drawn anew. */
export class Blocks {
  constructor(node) {
    this.node = node;
    this.drawn = [];
  }

  /**
   * Draw `blocks`; blocks equal to what stands there keep their nodes, wherever they move.
   * @returns {Element[]} the nodes drawn because of new content
   */
  show(blocks, surface) {
    const spare = [...this.drawn];
    const known = new Set(this.drawn.map(({ content }) => content));
    this.drawn = (blocks ?? []).map((data) => {
      const signature = JSON.stringify([data, surface.errors?.[data?.block_id] ?? null]);
      const at = spare.findIndex((candidate) => candidate.signature === signature);
      if (at >= 0) return spare.splice(at, 1)[0];
      const content = JSON.stringify({ ...data, block_id: undefined });
      return { signature, content, node: block(data, surface), fresh: !known.has(content) };
    });
    keepFocus(this.node, () => arrange(this.node, this.drawn.map(({ node }) => node)));
    const fresh = this.drawn.filter((entry) => entry.fresh);
    for (const entry of fresh) entry.fresh = false;
    return fresh.map(({ node }) => node);
  }
}

function header(data) {
  const level = Math.min(Math.max(Number(data.level) || 2, 1), 4);
  return h("div", { role: "heading", "aria-level": level + 1, class: `level-${level}` }, textObject(data.text));
}

function section(data, surface) {
  const body = h(
    "div",
    { class: "section-body" },
    data.text && h("div", { class: "text" }, textObject(data.text)),
    data.fields && h("div", { class: "fields" }, data.fields.map((field) => h("div", { class: "text field-cell" }, textObject(field)))),
  );
  return h("div", null, body, data.accessory && h("div", { class: "accessory" }, part(data.accessory, data, surface)));
}

/** Something inside a block: an image, a text, or a control. */
function part(data, parent, surface) {
  if (data?.type === "image") return picture(data, "thumb");
  if (data?.type === "mrkdwn" || data?.type === "plain_text") return h("span", { class: "text" }, textObject(data));
  return (isInteractive(data?.type) && element(data, parent, surface)) || unknown("element", data?.type);
}

function context(data, surface) {
  return h("div", null, (data.elements ?? []).map((item) => part(item, data, surface)));
}

function actions(data, surface) {
  return h("div", { role: "group" }, (data.elements ?? []).map((item) => part(item, data, surface)));
}

function divider() {
  return h("hr");
}

function table(data) {
  const settings = data.column_settings ?? [];
  const classes = (index) => `align-${settings[index]?.align ?? "left"}${settings[index]?.is_wrapped ? "" : " nowrap"}`;
  const [head, ...body] = data.rows ?? [];
  const row = (cells, tag) =>
    h("tr", null, cells.map((cell, index) => h(tag, { class: classes(index), scope: tag === "th" ? "col" : null }, tableCell(cell))));
  return h(
    "div",
    { class: "table-scroll", role: "region", "aria-label": "Table", tabindex: 0 },
    h("table", null, head && h("thead", null, row(head, "th")), h("tbody", null, body.map((cells) => row(cells, "td")))),
  );
}

function tableCell(cell) {
  if (cell?.type === "raw_text") return textObject({ type: "plain_text", text: cell.text ?? "" });
  if (cell?.type === "raw_number") return cell.text ?? String(cell.value ?? cell.number ?? "");
  if (cell?.type === "rich_text") return richText(cell);
  return unknown("cell", cell?.type);
}

function image(data) {
  return h("figure", null, data.title && h("figcaption", { class: "text" }, textObject(data.title)), picture(data, "picture"));
}

/** A picture of this workspace. One from elsewhere is not fetched, since practice stays on this machine; its words stand in. */
function picture(data, look) {
  const href = safeUrl(data.image_url ?? data.slack_file?.url ?? "");
  const alt = data.alt_text ?? "";
  if (href && new URL(href).origin === location.origin) return h("img", { class: look, src: href, alt, loading: "lazy" });
  const where = href ? `Picture on ${new URL(href).host}: ${alt}` : `Picture without address: ${alt}`;
  return look === "thumb"
    ? h("span", { class: "thumb stand-in", role: "img", "aria-label": where, title: where })
    : h("div", { class: "picture stand-in" }, where);
}

function input(data, surface) {
  const error = surface.errors?.[data.block_id];
  const control = part(data.element, data, surface);
  return h(
    "div",
    { class: error ? "in-error" : null },
    h(
      "label",
      { class: "input-label", id: `label-${data.block_id}`, for: control.id || control.querySelector?.("[id]")?.id },
      textObject(data.label),
      data.optional && h("span", { class: "optional" }, " (optional)"),
    ),
    control,
    error && h("div", { class: "input-error", id: `error-${data.block_id}`, role: "alert", testid: `error-${data.block_id}` }, error),
    data.hint && h("div", { class: "input-hint" }, textObject(data.hint)),
  );
}

function file(data) {
  return h("div", null, h("span", { class: "file-chip" }, `File ${data.external_id ?? ""} (${data.source ?? "remote"})`));
}

function alert(data) {
  const level = ["info", "warning", "error", "success"].includes(data.level ?? data.style) ? (data.level ?? data.style) : "default";
  const sign = { info: "ℹ️", warning: "⚠️", error: "🔴", success: "✅", default: "" }[level];
  return h("div", { class: `alert-${level}`, role: "note" }, sign && h("span", { class: "emoji", "aria-hidden": "true" }, sign), h("div", { class: "text" }, textObject(data.text)));
}

/** Old-style attachments: a coloured edge, a few texts, and blocks inside. */
export class Attachments {
  constructor(node) {
    this.slot = new Slot(node);
  }

  show(attachments, surface) {
    return this.slot.show(attachments ?? [], () => (attachments ?? []).map((data) => attachment(data, surface)));
  }
}

function attachment(data, surface) {
  const node = h(
    "div",
    { class: "attachment" },
    data.pretext && h("div", { class: "text" }, textObject({ type: "mrkdwn", text: data.pretext })),
    data.title && h("div", { class: "attachment-title" }, words(data.title)),
    data.blocks ? data.blocks.map((inner) => block(inner, surface)) : h("div", { class: "text" }, textObject({ type: "mrkdwn", text: data.text ?? data.fallback ?? "" })),
    data.fields?.length > 0 &&
      h("div", { class: "fields" }, data.fields.map((field) => h("div", { class: "text" }, h("strong", null, words(field.title)), h("br"), textObject({ type: "mrkdwn", text: field.value ?? "" })))),
    data.footer && h("div", { class: "attachment-footer" }, words(data.footer)),
  );
  const named = { good: "#2f9e6e", warning: "#d99a1c", danger: "#cf3f3f" };
  const color = named[data.color] ?? (/^#?[0-9a-f]{6}$/i.test(data.color ?? "") ? `#${data.color.replace("#", "")}` : null);
  if (color) node.style.setProperty("--edge", color);
  return node;
}
