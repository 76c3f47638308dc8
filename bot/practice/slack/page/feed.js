/** The line to the practice workspace: one state to read, one stream of changes, and posts for what people do. */

/** Something the workspace refused or could not be asked; the message is fit to show. */
export class Trouble extends Error {}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Trouble("Practice Slack does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Trouble(body?.error ?? `Practice Slack answered ${response.status}.`);
  return body ?? {};
}

/**
 * Do something as a person. An answer with `ok: false` is returned, not thrown: its `errors` belong beside their fields.
 * @param {"command"|"message"|"click"|"submit"|"close"|"home"|"shortcut"|"react"|"fault"} verb
 */
export const post = (verb, body) =>
  request(`/page/${verb}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Keeps the newest state on screen: asks again on every revision, one question at a time, and reconnects by itself. */
export class Feed {
  /**
   * @param {() => {as?: string, channel?: string}} place who looks at what
   * @param {(state: object) => void} onState
   * @param {(status: "live"|"connecting"|"lost", detail?: string) => void} onStatus
   */
  constructor(place, onState, onStatus) {
    this.place = place;
    this.onState = onState;
    this.onStatus = onStatus;
    this.waiting = [];
    this.reading = false;
    this.pause = 1000;
  }

  open() {
    this.onStatus("connecting");
    const source = new EventSource("/page/events");
    source.onopen = () => {
      this.pause = 1000;
      this.onStatus("live");
      this.refresh().catch(() => undefined);
    };
    source.onmessage = () => void this.refresh().catch(() => undefined);
    source.onerror = () => {
      source.close();
      this.onStatus("lost", `Trying again every ${Math.round(this.pause / 1000)} s.`);
      setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(this.pause * 2, 8000);
    };
  }

  /** Read the state; resolves once a reading that began after this call is on screen. Throws `Trouble`. */
  refresh() {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (!this.reading) void this.#read();
    });
  }

  async #read() {
    this.reading = true;
    while (this.waiting.length > 0) {
      const served = this.waiting.splice(0);
      const asked = this.place();
      try {
        const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
        const state = await request(`/page/state?${query}`);
        const now = this.place();
        // Someone switched person or channel meanwhile: this answer is about the old place.
        if (now.as === asked.as && now.channel === asked.channel) this.onState(state);
        else this.waiting.push({ resolve: () => undefined, reject: () => undefined });
        for (const { resolve } of served) resolve();
      } catch (error) {
        for (const { reject } of served) reject(error);
      }
    }
    this.reading = false;
  }
}
