/** The theme's colours for the terminal, as the style sheet of the theme that applies has them (theme_light.css). */

const ANSI = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** @returns {import("@xterm/xterm").ITheme} */
export function terminalTheme() {
  const normal = ANSI.map((name) => [name, colour(`--ansi-${name}`)]);
  const bright = ANSI.map((name) => [
    `bright${name[0]?.toUpperCase()}${name.slice(1)}`,
    colour(`--ansi-bright-${name}`),
  ]);
  return {
    ...Object.fromEntries([...normal, ...bright]),
    background: colour("--surface"),
    foreground: colour("--text"),
    cursor: colour("--accent"),
    cursorAccent: colour("--surface"),
    selectionBackground: colour("--selection"),
  };
}

/** @returns {import("@xterm/addon-search").ISearchDecorationOptions} */
export function searchColours() {
  return {
    matchBackground: colour("--match"),
    matchOverviewRuler: colour("--match"),
    activeMatchBackground: colour("--active-match"),
    activeMatchColorOverviewRuler: colour("--active-match"),
  };
}

/** @param {() => void} changed called when another theme applies */
export function watchTheme(changed) {
  for (const { media } of document.querySelectorAll("link")) {
    if (media) matchMedia(media).addEventListener("change", changed);
  }
}

/**
 * @param {string} name of the style sheet's property
 * @returns {string}
 */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
