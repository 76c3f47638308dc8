/** Who and what the ids in a text stand for, as of the last state the page received. */

let people = new Map();
let channels = new Map();

export function learn(state) {
  people = new Map(state.people.map((person) => [person.id, person]));
  channels = new Map(state.channels.map((channel) => [channel.id, channel]));
  if (state.app?.bot_user_id && !people.has(state.app.bot_user_id)) {
    const { bot_user_id: id, name } = state.app;
    people.set(id, { id, name, display: name, kind: "bot", role_hint: "" });
  }
}

export const person = (id) => people.get(id) ?? null;
export const everyone = () => [...people.values()];
export const channel = (id) => channels.get(id) ?? null;
export const allChannels = () => [...channels.values()];
export const nameOf = (id) => people.get(id)?.display || people.get(id)?.name || id;
