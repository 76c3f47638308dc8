/** The page: one state from the workspace, drawn into its parts, and what people do, sent back. */

import { Blocks } from "./blocks.js";
import { Composer } from "./composer.js";
import { learn, nameOf } from "./directory.js";
import { h, icon, Slot } from "./dom.js";
import { Feed, post } from "./feed.js";
import { menu, popover, toast } from "./layers.js";
import { Modals } from "./modals.js";
import { mrkdwn, unescape } from "./mrkdwn.js";
import { FIRST_PERSON, permalinkIn, Place } from "./place.js";
import { Rail } from "./rail.js";
import { Stream } from "./stream.js";
import { installTheme } from "./theme-switch.js";
import { Values } from "./values.js";
import { ofTs, time } from "./when.js";

const at = (id) => document.getElementById(id);

const place = new Place();
const filled = new Map();
const dismissed = new Set();
const drafts = new Map();
let state = null;

/** What the parts of the page can ask for. @typedef {typeof host} Host */
const host = {
  me: () => state?.me.id,
  appName: () => state?.app.name ?? "App",
  shortcuts: () => state?.app.shortcuts ?? [],

  valuesOf(key) {
    if (!filled.has(key)) filled.set(key, new Values());
    return filled.get(key);
  },

  /** Deliver a block action of a message or of an ephemeral. */
  click: (message, action) => host.act({ message_ts: message.ts, ephemeral: message.ephemeral === true, ...action }),

  act(action) {
    const who = place.as;
    const where = place.channel;
    return inTurn(() => send("click", { as: who, channel: where, ...action }));
  },

  /** Tell the workspace what a form holds by now. What it makes of a half-filled form is nobody's concern yet. */
  hold(action) {
    const who = place.as;
    void inTurn(() => post("click", { as: who, ...action }).catch(() => undefined));
  },

  react: (ts, name, remove = false) => send("react", { channel: place.channel, message_ts: ts, name, ...(remove ? { remove } : {}) }),
  pin: (ts, remove) => send("pin", { channel: place.channel, message_ts: ts, remove }),
  shortcut: (callbackId, ts) => send("shortcut", { callback_id: callbackId, ...(ts ? { channel: place.channel, message_ts: ts } : {}) }),
  submit: async (viewId, values) => {
    const answer = await post("submit", { as: place.as, view_id: viewId, values });
    await feed.refresh().catch(() => undefined);
    return answer;
  },
  async closeView(viewId) {
    // The app may have closed it meanwhile; then there is nothing to say about it.
    await post("close", { as: place.as, view_id: viewId }).catch(() => undefined);
    await feed.refresh().catch(() => undefined);
  },

  openThread(ts) {
    place.thread = ts;
    place.remember();
    draw();
    threadComposer.focus();
  },

  dismiss(id) {
    dismissed.add(id);
    draw();
  },

  async copyLink(ts) {
    const url = `${location.origin}/archives/${place.channel}/p${ts.replace(".", "")}`;
    try {
      await navigator.clipboard.writeText(url);
      toast("Link copied");
    } catch {
      toast(["Copying is not allowed here. The link: ", h("code", null, url)]);
    }
  },
};

let turn = Promise.resolve();

/** Clicks reach the workspace in the order they were made. */
function inTurn(deliver) {
  turn = turn.then(deliver);
  return turn;
}

/** What belongs to the house and is nobody's act. */
const HOUSE = new Set(["fault", "conduct"]);

/** Post something as the person one is and show what came of it; failures become a note. Tells whether it went well. */
async function send(verb, body) {
  let answer;
  try {
    answer = await post(verb, HOUSE.has(verb) ? body : { as: place.as, ...body });
    if (answer.ok === false) throw new Error(answer.error ?? "The workspace refused this.");
  } catch (error) {
    toast(explain(error.message), { tone: "error" });
    return false;
  } finally {
    await feed.refresh().catch(() => undefined);
  }
  const { ack_text: text } = answer;
  if (text && ![...state.ephemerals, ...state.messages].some((shown) => shown.text === text)) toast(mrkdwn(text));
  return true;
}

/** Slack's error words, with what they mean for the person who just did something. */
function explain(error) {
  const known = {
    operation_timeout: "The app did not answer within 3 seconds.",
    dispatch_failed: "The app could not be reached.",
    not_in_channel: "You are not in this channel.",
    is_archived: "This channel is archived.",
    already_reacted: "You have reacted with this already.",
    no_reaction: "You have not reacted with this.",
    already_pinned: "This is pinned already.",
    no_pin: "This is not pinned any more.",
    restricted_action: "Guests and people of other workspaces may not do this.",
    unknown_shortcut: "The app has no such entry in this menu.",
    slack_down: "Slack is down (practice switch).",
    not_subscribed: "The app does not listen for this.",
    not_interactive: "The app does not take clicks.",
    not_supported_in_threads: `Slash commands do not work in threads. Mention the app instead: @${host.appName()} …`,
    invalid_command: "There is no such command here.",
    account_inactive: "This account is deactivated.",
    channel_not_found: "This person cannot see that channel.",
    user_not_found: "There is no such person here.",
    not_found: "That is no longer there.",
  };
  return known[error] ? [known[error], " ", h("code", null, error)] : mrkdwn(error);
}

const announce = (text) => {
  at("live").textContent = text.slice(0, 300);
};

const feed = new Feed(
  () => ({ as: place.as, channel: place.channel }),
  (next) => {
    state = next;
    place.as = next.me.id;
    place.channel = next.channel?.id ?? place.channel;
    learn(next);
    draw();
  },
  (status, detail) => rail.setLink(status, detail),
);

const rail = new Rail({ places: at("places"), me: at("me"), compact: at("compact-me"), link: at("link") }, { goHome, goChannel, become });
const stream = new Stream({ scroller: at("scroller"), list: at("stream"), pill: at("pill"), host, inThread: false, announce });
const thread = new Stream({ scroller: at("thread-scroller"), list: at("thread-stream"), pill: at("thread-pill"), host, inThread: true, announce });
const modals = new Modals(host);
const homeBlocks = new Blocks(at("home-page"));
const commands = () => state?.app.commands ?? [];
const composer = new Composer({ form: at("composer-form"), commands, send: say });
const threadComposer = new Composer({ form: at("thread-form"), commands: () => [], send: reply });
const banners = new Slot(at("banners"));
const lead = new Slot(at("lead"));
const title = new Slot(at("room-name"));

async function say(text) {
  const command = text.startsWith("/") && !text.startsWith("//");
  const done = await send(command ? "command" : "message", { channel: place.channel, text });
  if (done) stream.toEnd();
  return done;
}

async function reply(text) {
  const command = text.startsWith("/") && !text.startsWith("//");
  return send(command ? "command" : "message", { channel: place.channel, text, thread_ts: place.thread });
}

async function move(change) {
  drafts.set(`${place.as}/${place.channel}`, composer.text);
  Object.assign(place, change);
  place.remember();
  at("app").classList.remove("rail-open");
  await arrive();
  composer.text = drafts.get(`${place.as}/${place.channel}`) ?? "";
}

/** Show the place one has gone to, or the nearest one that this person may see. */
async function arrive() {
  const nearer = [{}, { channel: undefined, thread: null, target: null }, { as: FIRST_PERSON }];
  for (const [index, change] of nearer.entries()) {
    Object.assign(place, change);
    try {
      await feed.refresh();
      if (index > 0) place.remember();
      return;
    } catch (error) {
      if (index === nearer.length - 1) toast(explain(error.message), { tone: "error" });
    }
  }
}

async function become(id) {
  await move({ as: id, thread: null });
}

async function goChannel(id) {
  await move({ channel: id, surface: "channel", thread: id === place.channel ? place.thread : null });
  if (matchMedia("(hover: hover)").matches) composer.focus();
}

async function goHome() {
  await move({ surface: "home", thread: null });
  await openHome();
}

/** Tell the app that its Home is looked at. One that has no Home is not at fault; the page says so in its place. */
async function openHome() {
  const answer = await post("home", { as: place.as }).catch((error) => ({ ok: false, error: error.message }));
  if (answer.ok === false && answer.error !== "not_subscribed") toast(explain(answer.error), { tone: "error" });
  await feed.refresh().catch(() => undefined);
}

async function goMessage({ channel, ts, thread: parent }) {
  await move({ channel, surface: "channel", thread: parent && parent !== ts ? parent : null, target: ts });
}

function draw() {
  if (!state) return;
  const { channel, channels, messages, app, faults } = state;
  const known = channels.find(({ id }) => id === channel?.id);
  const name = channel?.name ?? "";
  const home = place.surface === "home";

  rail.show(state, { surface: place.surface, channel: place.channel });
  title.show([home, known?.kind, name, app.name], () =>
    home ? [h("img", { src: "/static/mark.svg", alt: "", width: 22, height: 22 }), app.name] : [known?.kind === "dm" ? null : icon(known?.kind === "private" ? "lock" : "hash"), h("span", { class: "clipped" }, name)],
  );
  at("room-topic").textContent = home ? "Home · only you see this" : (channel?.topic ?? "");
  const unread = channels.reduce((sum, { id, unread: n }) => sum + (id === place.channel ? 0 : (n ?? 0)), 0);
  document.title = `${unread ? `(${unread}) ` : ""}${home ? app.name : `${known?.kind === "dm" ? "" : "#"}${name}`} · Practice Slack`;
  // A switch that was just moved shows what was wanted until the workspace has heard it.
  for (const box of document.querySelectorAll("[data-fault]:not([data-busy])")) box.checked = faults?.[box.dataset.fault] === true;
  for (const choice of document.querySelectorAll("[data-conduct]:not([data-busy])")) choice.value = conductOf(choice.dataset.conduct);
  banners.show([faults, known?.member, home, name], () => bannerRows(faults, known, home));

  at("conversation").hidden = home;
  at("home").hidden = !home;
  if (home) drawHome();

  const pins = new Set(channel?.pins ?? []);
  drawPins(home ? [] : [...pins], messages);
  drawChannel(known, name, messages, pins);
  drawThread(messages, pins, name);
  modals.show((state.views ?? []).filter(({ type }) => type !== "home"));
  const anywhere = host.shortcuts().filter(({ type }) => type === "global");
  at("global-shortcuts").hidden = anywhere.length === 0;
  if (place.target) find();
}

function bannerRows(faults, known, home) {
  return [
    faults?.down && h("div", { class: "banner bad", testid: "banner-down" }, "⚠️ Slack is down (practice switch): the app cannot post, edit, or hear."),
    faults?.storm_429 && h("div", { class: "banner warn", testid: "banner-storm" }, "⚠️ 429 storm (practice switch): Slack refuses most of the app's calls for now."),
    !home && known && !known.member && h("div", { class: "banner plain" }, "You look at this channel from outside: you are not a member."),
  ];
}

function drawChannel(known, name, messages, pins) {
  const mine = (state.ephemerals ?? []).filter(({ id, channel }) => !dismissed.has(id) && (!channel || channel === place.channel));
  const shown = mine.filter(({ thread_ts: parent }) => !parent || parent !== place.thread).map(ephemeral);
  const items = [...messages.filter((message) => !message.thread_ts || message.thread_ts === message.ts), ...shown].sort(byTime);
  lead.show([known?.kind, name, items.length === 0], () => [
    h("div", { class: "lead-mark" }, known?.kind === "dm" ? "💬" : icon(known?.kind === "private" ? "lock" : "hash")),
    h("h2", null, known?.kind === "dm" ? name : `#${name}`),
    known?.topic && h("p", null, known.topic),
    h("p", null, items.length === 0 ? "Nothing has been said here yet. Type " : "This is where the channel begins. Type ", h("code", null, "/"), " to see what the app can do."),
  ]);
  stream.show(`${place.as}/${place.channel}`, items, pins);
  composer.placeholder = known?.kind === "dm" ? `Message ${name}` : `Message #${name}`;
}

function drawThread(messages, pins, name) {
  const parent = place.surface === "channel" && place.thread ? messages.find(({ ts }) => ts === place.thread) : null;
  at("thread").hidden = !parent;
  at("app").classList.toggle("with-thread", Boolean(parent));
  if (!parent) return;
  const mine = (state.ephemerals ?? []).filter(({ id, thread_ts: of }) => of === parent.ts && !dismissed.has(id)).map(ephemeral);
  at("thread-place").textContent = `#${name} · ${nameOf(parent.user)} at ${time(ofTs(parent.ts))}`;
  thread.show(`${place.as}/${parent.ts}`, [parent, ...[...(parent.replies ?? []), ...mine].sort(byTime)], pins);
  threadComposer.placeholder = "Reply…";
}

const ephemeral = (data) => ({ ...data, ephemeral: true, bot: true, user: state.app.bot_user_id });
const byTime = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

function drawHome() {
  const blocks = state.home?.blocks ?? [];
  const surface = {
    values: host.valuesOf(`home/${place.as}`),
    act: (action) => host.act({ ...action, view_id: state.home?.id }),
  };
  if (blocks.length > 0) homeBlocks.show(blocks, surface);
  else homeBlocks.show([{ type: "context", elements: [{ type: "plain_text", text: `${state.app.name} has not published its Home yet.` }] }], surface);
}

function drawPins(pins, messages) {
  const button = at("pins");
  button.hidden = pins.length === 0;
  button.replaceChildren(icon("pin"), String(pins.length), h("span", { class: "only-wide" }, "pinned"));
  button.setAttribute("aria-label", `${pins.length} pinned`);
  button.onclick = () =>
    menu(
      button,
      pins.map((ts) => {
        const message = messages.find((candidate) => candidate.ts === ts);
        const label = message ? unescape(message.text || "A message").slice(0, 80) : `Message of ${time(ofTs(ts))}`;
        return { label, hint: message && `${nameOf(message.user)} · ${time(ofTs(ts))}`, choose: () => stream.jump(ts) };
      }),
      { label: "Pinned messages", title: "Pinned here", className: "wide" },
    );
}

/** Go to the message a link named, once it is on screen. */
function find() {
  const ts = place.target;
  place.target = null;
  if (stream.jump(ts) || thread.jump(ts)) return;
  const parent = state.messages.find(({ replies }) => replies?.some((reply) => reply.ts === ts));
  if (!parent) return toast("That message is not in this channel any more.");
  host.openThread(parent.ts);
  thread.jump(ts);
}

/** How a practice Sendcat behaves, as the workspace says it. */
function conductOf(name) {
  return (state.deployments ?? []).find((each) => each.name === name)?.conduct ?? "";
}

function openFaults(anchor) {
  const row = (key, label, hint, testid) => {
    const box = h("input", {
      type: "checkbox",
      role: "switch",
      checked: state.faults?.[key] === true,
      "data-fault": key,
      testid,
      onchange: async () => {
        box.dataset.busy = "";
        const done = await send("fault", { [key]: box.checked });
        delete box.dataset.busy;
        if (!done) box.checked = !box.checked;
      },
    });
    return h("label", { class: "switch-row" }, h("span", null, h("strong", null, label), h("span", { class: "faint" }, hint)), box);
  };
  const deployment = ({ name, conduct, conducts }) => {
    const known = conducts.some((each) => each.name === conduct);
    const choice = h(
      "select",
      {
        "data-conduct": name,
        testid: `conduct-${name}`,
        onchange: async () => {
          choice.dataset.busy = "";
          await send("conduct", { deployment: name, conduct: choice.value });
          delete choice.dataset.busy;
          choice.value = conductOf(name);
        },
      },
      conducts.map((each) => h("option", { value: each.name, title: each.summary }, each.name)),
      !known && h("option", { value: conduct, disabled: true }, conduct),
    );
    choice.value = conduct;
    return h("label", { class: "switch-row" }, h("span", null, h("strong", null, `Sendcat ${name}`), h("span", { class: "faint" }, "How this deployment behaves.")), choice);
  };
  popover(
    anchor,
    h(
      "div",
      { class: "menu panel", role: "dialog", "aria-label": "Practice switches", testid: "fault-panel" },
      h("div", { class: "menu-title" }, "Practice switches"),
      row("down", "Slack is down", "The app's calls fail, and nothing reaches it.", "fault-down"),
      row("storm_429", "429 storm", "Slack answers most calls with “ratelimited”.", "fault-storm"),
      (state.deployments ?? []).map(deployment),
    ),
  );
}

function install() {
  at("open-rail").append(icon("menu"));
  at("open-rail").onclick = () => at("app").classList.add("rail-open");
  at("veil").onclick = () => at("app").classList.remove("rail-open");
  at("faults").append(icon("sliders"));
  at("faults").onclick = () => state && openFaults(at("faults"));
  at("close-thread").append(icon("close"));
  at("close-thread").onclick = closeThread;
  at("global-shortcuts").append(icon("bolt"));
  at("global-shortcuts").onclick = () =>
    menu(
      at("global-shortcuts"),
      host
        .shortcuts()
        .filter(({ type }) => type === "global")
        .map(({ name, description, callback_id: id }) => ({ label: name, hint: description, testid: `shortcut-${id}`, choose: () => host.shortcut(id) })),
      { label: "Shortcuts", title: "Shortcuts" },
    );
  for (const button of document.querySelectorAll(".send")) button.append(icon("send"));
  for (const pill of document.querySelectorAll(".pill")) pill.prepend(icon("down"));
  installTheme(at("theme"));

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const permalink = permalinkIn(link.href);
    const known = state?.channels.some(({ id }) => id === (link.dataset.channel ?? permalink?.channel));
    if (!known) return;
    event.preventDefault();
    if (link.dataset.channel) void goChannel(link.dataset.channel);
    else void goMessage(permalink);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], .menu:popover-open")) return;
    if (at("app").classList.contains("rail-open")) at("app").classList.remove("rail-open");
    else if (place.thread) closeThread();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) feed.refresh().catch(() => undefined);
  });
}

function closeThread() {
  const { thread: ts } = place;
  place.thread = null;
  place.remember();
  draw();
  (document.querySelector(`[data-testid="thread-${CSS.escape(ts)}"]`) ?? at("composer")).focus({ preventScroll: true });
}

install();
feed.open();
await arrive();
if (place.surface === "home") await openHome();
