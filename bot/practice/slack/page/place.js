/** Where a person looks, and the links that lead there. */

/** Who one is at first: the practice responder (INTERFACES.md, section 2). */
export const FIRST_PERSON = "oncall";

/** Where this person looks. The address carries it, so that a reload or a copied link leads back. */
export class Place {
  constructor() {
    const query = new URLSearchParams(location.search);
    const permalink = permalinkIn(location.href);
    this.as = query.get("as") ?? FIRST_PERSON;
    this.channel = permalink?.channel ?? query.get("channel") ?? undefined;
    this.surface = query.get("home") === null ? "channel" : "home";
    this.thread = query.get("thread") ?? permalink?.thread ?? null;
    this.target = permalink?.ts ?? query.get("ts");
  }

  remember() {
    const query = new URLSearchParams();
    if (this.as) query.set("as", this.as);
    if (this.channel) query.set("channel", this.channel);
    if (this.thread) query.set("thread", this.thread);
    if (this.surface === "home") query.set("home", "");
    history.replaceState(null, "", `/?${query}`);
  }
}

/** The message a Slack permalink leads to: /archives/C…/p1763899320000100?thread_ts=… */
export function permalinkIn(href) {
  const url = new URL(href, location.href);
  const match = /^\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})$/.exec(url.pathname);
  return match && { channel: match[1], ts: `${match[2]}.${match[3]}`, thread: url.searchParams.get("thread_ts") };
}
