/** The terminal's colours, light and dark; those that the page has as well are the style sheet's. */

export const LIGHT_OR_DARK = matchMedia("(prefers-color-scheme: dark)");

const DARK = {
  black: "#2b333b",
  red: "#ff7b72",
  green: "#6cc98a",
  yellow: "#e0b457",
  blue: "#79b0ff",
  magenta: "#d4a0ff",
  cyan: "#5fc8c4",
  white: "#cfd6dc",
  brightBlack: "#7d8893",
  brightRed: "#ffa198",
  brightGreen: "#8fe0a8",
  brightYellow: "#f2cf7e",
  brightBlue: "#a5ccff",
  brightMagenta: "#e6c3ff",
  brightCyan: "#8ae3df",
  brightWhite: "#ffffff",
};

const LIGHT = {
  black: "#1f262c",
  red: "#b3261e",
  green: "#1d6f3c",
  yellow: "#825500",
  blue: "#1659b8",
  magenta: "#8331a8",
  cyan: "#0b6a6a",
  white: "#59636d",
  brightBlack: "#67717b",
  brightRed: "#cc3a30",
  brightGreen: "#2a7d48",
  brightYellow: "#8f6200",
  brightBlue: "#2668c9",
  brightMagenta: "#9444b8",
  brightCyan: "#187878",
  brightWhite: "#1f262c",
};

/** @returns {import("./vendor/xterm.mjs").ITheme} for the scheme that is preferred now */
export function theme() {
  return {
    ...(LIGHT_OR_DARK.matches ? DARK : LIGHT),
    background: colour("--surface"),
    foreground: colour("--text"),
    cursor: colour("--accent"),
    cursorAccent: colour("--surface"),
    selectionBackground: colour("--selection"),
  };
}

/** @returns {import("./vendor/addon-search.mjs").ISearchDecorationOptions} */
export function searchColours() {
  return {
    matchBackground: colour("--match"),
    matchOverviewRuler: colour("--match"),
    activeMatchBackground: colour("--active-match"),
    activeMatchColorOverviewRuler: colour("--active-match"),
  };
}

/**
 * @param {string} name of the style sheet's property
 * @returns {string}
 */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
