/** The terminal on the page: xterm.js with its addons, the theme, search and touch. */

import { claimedControl } from "./input_method.js";
import { withoutControls } from "./paste.js";
import { searchColours, terminalTheme, watchTheme } from "./theme.js";
import { FitAddon } from "./vendor/addon-fit.2d87e1bd.mjs";
import { SearchAddon } from "./vendor/addon-search.3ea90162.mjs";
import { Unicode11Addon } from "./vendor/addon-unicode11.37bb2d57.mjs";
import { WebLinksAddon } from "./vendor/addon-web-links.cce9cc19.mjs";
import { WebglAddon } from "./vendor/addon-webgl.5ac2cbbb.mjs";
import { Terminal } from "./vendor/xterm.b336ec65.mjs";

const SCROLLBACK = 10_000; // lines: about 20 MB with wide ones
const FONT_SIZE = { smallest: 8, first: 14, largest: 32 }; // pixels
// These draw WebGL on the processor, which is slower than the DOM and leaves less time for everything else.
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const RESIZE_DELAY = 60; // ms; a window that is dragged has dozens of sizes a second

// Undoes what a program may have left behind: mouse reports, a hidden cursor, colours, margins, a charset, and a
// changed palette, with which the text could be unreadable (OSC 104, 110 to 112).
const RESET =
  "\x1b[?9;1000;1002;1003;1004;1005;1006;2004;2026l\x1b[?25h\x1b[!p\x1b[0m\x1b(B\x0f" +
  "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\";

/**
 * @param {number} columns
 * @returns {string} sets a tab stop at every eighth column, as at the start, and leaves the cursor where it was
 */
function tabStops(columns) {
  let stops = "";
  for (let column = 9; column <= columns; column += 8) stops += `\x1b[${column}G\x1bH`;
  return `\x1b7\x1b[3g${stops}\x1b8`;
}

/**
 * @typedef {object} TerminalListener
 * @property {(data: string | Uint8Array) => void} input what the user typed: text, or the bytes of a mouse report
 * @property {(size: import("./wire.js").Size) => void} resized
 * @property {(text: string) => void} titled
 * @property {() => void} rang
 * @property {(index: number, count: number) => void} found match *index* of *count* is marked, from 0; -1: too many
 * @property {() => void} copy the user pressed the shortcut for this; so for the next two
 * @property {() => void} find
 * @property {() => void} leave
 */

/** The terminal, which all sessions of the page share. */
export class TerminalView {
  #element;
  #fit = new FitAddon();
  #search = new SearchAddon();
  #terminal;
  /** @type {number | undefined} */
  #resizing;
  #running = false;

  /**
   * @param {HTMLElement} element to fill
   * @param {TerminalListener} listener
   */
  constructor(element, listener) {
    this.#element = element;
    this.#terminal = new Terminal({
      allowProposedApi: true, // the addons for Unicode and for search's marks need it
      cursorBlink: false,
      disableStdin: true,
      fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: FONT_SIZE.first,
      linkHandler: { activate: (_, uri) => openLink(uri, true) },
      macOptionClickForcesSelection: true, // as Shift does elsewhere, when the program takes the mouse
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK,
      scrollOnEraseInDisplay: true,
      theme: terminalTheme(),
    });
    const terminal = this.#terminal;
    terminal.loadAddon(this.#fit);
    terminal.loadAddon(this.#search);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    terminal.loadAddon(new WebLinksAddon((_, uri) => openLink(uri, false)));
    terminal.open(element);
    terminal.textarea?.setAttribute("aria-label", "Terminal; Ctrl+Shift+X leaves it");
    this.#loadWebgl();
    this.#fit.fit();
    terminal.attachCustomKeyEventHandler((event) => this.#key(event, listener));
    terminal.onData(listener.input);
    terminal.onBinary((data) => listener.input(Uint8Array.from(data, (character) => character.charCodeAt(0))));
    terminal.onResize(() => listener.resized(this.size));
    terminal.onTitleChange(listener.titled);
    terminal.onBell(listener.rang);
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) => listener.found(resultIndex, resultCount));
    watchTheme(() => {
      terminal.options.theme = terminalTheme();
    });
    new ResizeObserver(() => {
      clearTimeout(this.#resizing);
      this.#resizing = setTimeout(() => this.#fit.fit(), RESIZE_DELAY);
    }).observe(element);
    this.#scrollByTouch();
    // Capture the event, so that this runs before xterm.js.
    const pasted = (/** @type {ClipboardEvent} */ event) => {
      event.preventDefault();
      event.stopPropagation();
      this.paste(event.clipboardData?.getData("text/plain") ?? "");
    };
    element.addEventListener("paste", pasted, true);
  }

  /** @returns {import("./wire.js").Size} */
  get size() {
    return { rows: this.#terminal.rows, columns: this.#terminal.cols };
  }

  /** @returns {boolean} whether the program switched the arrow keys to their application codes (DECCKM) */
  get applicationCursor() {
    return this.#terminal.modes.applicationCursorKeysMode;
  }

  /** @returns {string} */
  get selection() {
    return this.#terminal.getSelection();
  }

  /** @returns {string} the text on the screen, with wrapped lines joined */
  get visibleText() {
    const { active } = this.#terminal.buffer;
    let text = "";
    for (let row = active.viewportY; row < active.viewportY + this.#terminal.rows; row += 1) {
      const line = active.getLine(row);
      if (row > active.viewportY && !line?.isWrapped) text += "\n";
      text += line?.translateToString(true) ?? "";
    }
    return `${text.trimEnd()}\n`;
  }

  /**
   * Prepare for a session.
   * @param {boolean} tty without one, a newline also returns to the first column
   * @param {boolean} readOnly
   */
  begin(tty, readOnly) {
    this.#running = true;
    this.#fit.fit();
    this.#terminal.options.disableStdin = readOnly;
    this.#terminal.options.convertEol = !tty;
    this.#terminal.options.ignoreBracketedPasteMode = !tty;
    this.#terminal.options.cursorBlink = !readOnly;
  }

  /**
   * Stop taking input, and draw the line that separates this session from the next.
   * @param {string} text
   */
  finish(text) {
    this.#running = false;
    this.#terminal.options.disableStdin = true;
    this.#terminal.options.cursorBlink = false;
    this.#terminal.write(RESET + tabStops(this.#terminal.cols), () => {
      // Only if a program left the alternate screen on: the sequence moves the cursor in any case.
      if (this.#terminal.buffer.active.type === "alternate") this.#terminal.write("\x1b[?1049l");
      const begin = this.#terminal.buffer.active.cursorX > 0 ? "\r\n" : "";
      const line = `\u2500\u2500 ${text} `.padEnd(Math.min(this.#terminal.cols, 80), "\u2500");
      this.#terminal.write(`${begin}\x1b[90m${line}\x1b[0m\r\n`);
    });
  }

  /**
   * @param {string | Uint8Array} data
   * @param {() => void} [done] called when the terminal has processed it
   */
  write(data, done) {
    this.#terminal.write(data, done);
  }

  /** Erase the last character of the line, which is one or two columns wide. */
  eraseLast() {
    const { cursorX, cursorY, baseY } = this.#terminal.buffer.active;
    const cell = this.#terminal.buffer.active.getLine(baseY + cursorY)?.getCell(cursorX - 1);
    // The second cell of a wide character has width 0.
    this.#terminal.write("\b \b".repeat(cell?.getWidth() === 0 ? 2 : 1));
  }

  /** @param {string} text is typed, with the newlines and the brackets that the program wants */
  paste(text) {
    this.#terminal.paste(withoutControls(text));
  }

  focus() {
    this.#terminal.focus();
  }

  /** @param {number} change pixels */
  changeFontSize(change) {
    const size = (this.#terminal.options.fontSize ?? FONT_SIZE.first) + change;
    this.#terminal.options.fontSize = Math.min(Math.max(size, FONT_SIZE.smallest), FONT_SIZE.largest);
    this.#fit.fit();
  }

  /** @param {boolean} on */
  setScreenReader(on) {
    this.#terminal.options.screenReaderMode = on;
  }

  /**
   * Mark every match, and go to the next or the previous one.
   * @param {string} text
   * @param {"next" | "previous" | "same"} which "same" keeps the place while the user types
   */
  find(text, which) {
    const options = { decorations: searchColours(), incremental: which === "same" };
    if (which === "previous") this.#search.findPrevious(text, options);
    else this.#search.findNext(text, options);
  }

  endFind() {
    this.#search.clearDecorations();
  }

  /** Draw by WebGL if a graphics card does it. Otherwise xterm.js draws by the DOM. */
  #loadWebgl() {
    this.#element.dataset.renderer = "dom";
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe || SOFTWARE.test(graphicsCard(probe))) return;
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    try {
      const addon = new WebglAddon();
      addon.onContextLoss(() => {
        addon.dispose();
        this.#element.dataset.renderer = "dom";
      });
      this.#terminal.loadAddon(addon);
      this.#element.dataset.renderer = "webgl";
    } catch {
      // No WebGL after all: xterm.js goes on drawing by the DOM.
    }
  }

  /**
   * @param {KeyboardEvent} event
   * @param {TerminalListener} listener
   * @returns {boolean} whether the terminal handles the key
   */
  #key(event, listener) {
    if (event.type !== "keydown") return true;
    const control = claimedControl(event);
    if (control) {
      event.preventDefault();
      this.#terminal.input(control);
      return false;
    }
    // Without a session, Tab moves the focus, as elsewhere on the page.
    if (event.key === "Tab" && !this.#running) return false;
    if (!event.ctrlKey || !event.shiftKey || event.altKey) return true;
    if (event.code === "KeyV") return false; // the browser pastes
    const action = { KeyC: listener.copy, KeyF: listener.find, KeyX: listener.leave }[event.code];
    if (!action) return true;
    event.preventDefault();
    action();
    return false;
  }

  /** Scroll by touch, which xterm.js does not do. */
  #scrollByTouch() {
    let last = 0;
    const position = (/** @type {TouchEvent} */ event) => event.touches[0]?.clientY ?? last;
    this.#element.addEventListener("touchstart", (event) => {
      last = position(event);
    });
    this.#element.addEventListener("touchmove", (event) => {
      if (event.touches.length > 1) return;
      const height = this.#element.clientHeight / this.#terminal.rows;
      const lines = Math.trunc((last - position(event)) / height);
      last -= lines * height;
      this.#terminal.scrollLines(lines);
    });
  }
}

/**
 * @param {string} uri
 * @param {boolean} hidden whether the clicked text can differ from the address (OSC 8)
 */
function openLink(uri, hidden) {
  if (!/^https?:/i.test(uri)) return;
  if (hidden && !confirm(`Open this address?\n\n${uri}`)) return;
  window.open(uri, "_blank", "noopener,noreferrer");
}

/**
 * @param {WebGL2RenderingContext} context
 * @returns {string} the name of the graphics card
 */
function graphicsCard(context) {
  const names = context.getExtension("WEBGL_debug_renderer_info");
  return String(context.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : context.RENDERER));
}
