/** Light, dark, or as the system says; remembered on this machine. */

import { icon } from "./dom.js";

const KEY = "practice-slack.theme";
const ORDER = ["auto", "light", "dark"];
const LOOK = { auto: ["half", "Colours: as the system"], light: ["sun", "Colours: light"], dark: ["moon", "Colours: dark"] };

/** Make `button` walk through the themes. */
export function installTheme(button) {
  const show = () => {
    const theme = document.documentElement.dataset.theme ?? "auto";
    const [name, label] = LOOK[theme];
    button.replaceChildren(icon(name));
    button.title = label;
    button.setAttribute("aria-label", `${label}. Change`);
  };
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "auto";
    const next = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // Without storage the choice lasts until the page is closed.
    }
    show();
  });
  show();
}
