/** Times as the reader's clock shows them: 24 hours, with the date when it is not today. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const styles = {
  num: { year: "numeric", month: "2-digit", day: "2-digit" },
  short: { year: "numeric", month: "short", day: "numeric" },
  plain: { year: "numeric", month: "long", day: "numeric" },
  long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
};

const dated = (date, style) => new Intl.DateTimeFormat(undefined, styles[style]).format(date);

/** @param {string} ts Slack's message time, seconds with six decimals */
export const ofTs = (ts) => new Date(Number.parseFloat(ts) * 1000);
export const time = (date) => clock.format(date);
export const fullTime = (date) => `${dated(date, "long")}, ${clockSeconds.format(date)}`;

function daysAgo(date) {
  const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  return Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);
}

function pretty(date, style) {
  const days = daysAgo(date);
  if (days === 0) return "today";
  if (days === 1) return "yesterday";
  if (days === -1) return "tomorrow";
  return dated(date, style);
}

/** The line between two days of a channel. */
export function day(date) {
  const name = pretty(date, "long");
  return name[0].toUpperCase() + name.slice(1);
}

/** Time alone today, else with its date. */
export const moment = (date) => (daysAgo(date) === 0 ? time(date) : `${pretty(date, "short")}, ${time(date)}`);

function ago(date) {
  const seconds = Math.round((Date.now() - date.getTime()) / 1000);
  const size = Math.abs(seconds);
  const [n, unit] =
    size < 60 ? [size, "second"] : size < 3600 ? [size / 60, "minute"] : size < 86_400 ? [size / 3600, "hour"] : [size / 86_400, "day"];
  const whole = Math.round(n);
  const words = `${whole} ${unit}${whole === 1 ? "" : "s"}`;
  return seconds >= 0 ? `${words} ago` : `in ${words}`;
}

/**
 * Fill a date format of `<!date^…>` or a rich_text date.
 * @param {number} unix seconds
 * @param {string} format e.g. "{date_short_pretty} {time}"
 */
export function formatted(unix, format) {
  const date = new Date(unix * 1000);
  if (!Number.isFinite(date.getTime())) return null;
  const fill = {
    date_num: () => dated(date, "num"),
    date_slash: () => dated(date, "num"),
    date: () => dated(date, "plain"),
    date_short: () => dated(date, "short"),
    date_long: () => dated(date, "long"),
    date_pretty: () => pretty(date, "plain"),
    date_short_pretty: () => pretty(date, "short"),
    date_long_pretty: () => pretty(date, "long"),
    time: () => time(date),
    time_secs: () => clockSeconds.format(date),
    ago: () => ago(date),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => (fill[name] ? fill[name]() : whole));
}

