/** Shortcodes that runbook cards and on-call people use, drawn by the system's own emoji font. */

import { h } from "./dom.js";

const TABLE = `
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|warning ⚠️|red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡
large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫|black_large_square ⬛|white_large_square ⬜
white_small_square ▫️|black_small_square ▪️|grey_question ❔|question ❓|grey_exclamation ❕|exclamation ❗|bangbang ‼️|interrobang ⁉️
hourglass_flowing_sand ⏳|hourglass ⌛|stopwatch ⏱️|timer_clock ⏲️|alarm_clock ⏰|clock1 🕐|calendar 📅|spiral_calendar_pad 🗓️|date 📅
no_entry_sign 🚫|no_entry ⛔|x ❌|negative_squared_cross_mark ❎|octagonal_sign 🛑|rotating_light 🚨|construction 🚧|lock 🔒|unlock 🔓
key 🔑|closed_lock_with_key 🔐|shield 🛡️|mag 🔍|mag_right 🔎|microscope 🔬|bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉
memo 📝|pencil ✏️|pencil2 ✏️|pushpin 📌|round_pushpin 📍|paperclip 📎|link 🔗|scroll 📜|page_facing_up 📄|page_with_curl 📃|notebook 📓|books 📚
bookmark 🔖|clipboard 📋|file_folder 📁|open_file_folder 📂|card_index_dividers 🗂️|wastebasket 🗑️|inbox_tray 📥|outbox_tray 📤|package 📦
email 📧|envelope ✉️|bell 🔔|no_bell 🔕|loudspeaker 📢|mega 📣|speech_balloon 💬|thought_balloon 💭|eyes 👀|eye 👁️|bulb 💡|fire 🔥|boom 💥|zap ⚡
rocket 🚀|satellite 🛰️|satellite_antenna 📡|electric_plug 🔌|battery 🔋|computer 💻|desktop_computer 🖥️|keyboard ⌨️|gear ⚙️|wrench 🔧|hammer 🔨
hammer_and_wrench 🛠️|nut_and_bolt 🔩|toolbox 🧰|test_tube 🧪|thermometer 🌡️|compass 🧭|world_map 🗺️|globe_with_meridians 🌐|cloud ☁️|rainbow 🌈
arrows_counterclockwise 🔄|repeat 🔁|leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️
arrow_upper_right ↗️|arrow_lower_right ↘️|arrow_forward ▶️|double_vertical_bar ⏸️|black_square_for_stop ⏹️|fast_forward ⏩|rewind ⏪
information_source ℹ️|new 🆕|ok 🆗|up 🆙|sos 🆘|robot_face 🤖|cat 🐱|cat2 🐈|pager 📟|telephone 📞|iphone 📱|thumbsup 👍|+1 👍|thumbsdown 👎|-1 👎
ok_hand 👌|raised_hands 🙌|clap 👏|wave 👋|pray 🙏|muscle 💪|raised_hand ✋|point_right 👉|point_up ☝️|handshake 🤝|tada 🎉|sparkles ✨|star ⭐
heart ❤️|green_heart 💚|100 💯|trophy 🏆|checkered_flag 🏁|triangular_flag_on_post 🚩|smile 😄|slightly_smiling_face 🙂|thinking_face 🤔
sweat_smile 😅|disappointed 😞|scream 😱|sleeping 😴|saluting_face 🫡|coffee ☕|pizza 🍕|snail 🐌|turtle 🐢|bug 🐛|ghost 👻|skull 💀|abacus 🧮|scales ⚖️
one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|ghost_town 🏚️|bricks 🧱|ambulance 🚑|fire_extinguisher 🧯|helmet_with_white_cross ⛑️|adhesive_bandage 🩹
`;

/** @type {Map<string, string>} shortcode without colons -> character */
export const EMOJI = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .map((entry) => entry.split(" ")),
);

/** What the reaction picker offers first. */
export const PICKER = (
  "white_check_mark eyes raised_hands +1 pray tada rotating_light warning red_circle large_green_circle no_entry_sign " +
  "hourglass_flowing_sand memo pushpin mag bulb wrench rocket fire boom thinking_face question x heart"
).split(" ");

/** The signs of a verdict or a state (ux.md, "Words and signs"): drawn by the page, since not every machine has a font for them. */
const SIGNS = { "✅": "ok", "⚠": "warn", "🔴": "bad", "❔": "unknown", "⏳": "running", "⌛": "running", "🚫": "refused", "⏸": "paused" };
const SIGN = new RegExp(`(${Object.keys(SIGNS).join("|")})\\uFE0F?`, "gu");

/** A text with its signs as small drawings; the character stays below each, for copying and for reading aloud. */
export function signs(text) {
  const parts = [];
  let rest = 0;
  for (const match of text.matchAll(SIGN)) {
    parts.push(text.slice(rest, match.index), h("span", { class: `sign sign-${SIGNS[match[1]]}` }, match[0]));
    rest = match.index + match[0].length;
  }
  return rest === 0 ? text : [...parts, text.slice(rest)];
}

/** The drawing of a shortcode, or the shortcode as it was written when this page does not know it. */
export function emoji(name) {
  const base = String(name).split("::")[0];
  const character = EMOJI.get(base);
  if (!character) return document.createTextNode(`:${name}:`);
  return h("span", { class: "emoji", role: "img", "aria-label": base.replaceAll("_", " "), title: `:${base}:` }, signs(character));
}

/** Replace the shortcodes of a plain text by characters; for places that take strings only (menus, titles). */
export function withEmoji(text) {
  return String(text).replace(/:([a-z0-9_+'-]+):/g, (whole, name) => EMOJI.get(name) ?? whole);
}
