// Set the chosen colours before the first paint; a module would come too late and flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("practice-slack.theme");
  } catch {
    // Storage is off: the system's preference decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
