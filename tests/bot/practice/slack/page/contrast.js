// Every piece of text on screen whose contrast with the ground it stands on is below 4.5 (WCAG AA), as short descriptions.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r, g, b].map((part, i) => (part * a + [R, G, B][i] * (255 - a)) / 255);
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), rgba(getComputedStyle(document.documentElement).backgroundColor));
  };
  const light = (color) => {
    const [r, g, b] = color.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((child) => child.nodeType === 3 && child.data.trim()).map((child) => child.data.trim());
    if (text.length === 0 || !node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || node.closest(".emoji, .outside, :disabled")) continue;
    const behind = ground(node);
    const [one, two] = [light(over(rgba(getComputedStyle(node).color), behind)), light(behind)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) poor.add(`${node.tagName}.${node.className} "${text[0].slice(0, 20)}" ${ratio.toFixed(2)}`);
  }
  return [...poor];
}
