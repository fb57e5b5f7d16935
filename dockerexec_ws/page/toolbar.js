/** The buttons below the terminal: copy, paste, the size of the text, and the mode for screen readers. */

import { element, on } from "./dom.js";

const COPIED_TIME = 1000; // ms

/** The buttons. */
export class Tools {
  #terminal;
  #say;

  /**
   * @param {import("./terminal.js").TerminalView} terminal
   * @param {(text: string) => void} say shows a text as the status
   */
  constructor(terminal, say) {
    this.#terminal = terminal;
    this.#say = say;
    on("copy", "click", () => this.copy(terminal.selection || terminal.visibleText));
    on("paste", "click", () => this.#paste());
    on("smaller", "click", () => terminal.changeFontSize(-1));
    on("larger", "click", () => terminal.changeFontSize(1));
    on("reader", "click", () => this.#toggleScreenReader());
  }

  /** @param {string} text for the clipboard; "" does nothing */
  async copy(text) {
    if (!text) return;
    const done = await writeClipboard(text);
    element("copy").textContent = done ? "Copied" : "Not copied";
    setTimeout(() => {
      element("copy").textContent = "Copy";
    }, COPIED_TIME);
    this.#terminal.focus();
  }

  async #paste() {
    this.#terminal.focus();
    try {
      this.#terminal.paste(await navigator.clipboard.readText());
    } catch {
      this.#say("The browser does not let this page read the clipboard. Press Ctrl+Shift+V to paste.");
    }
  }

  #toggleScreenReader() {
    const pressed = element("reader").getAttribute("aria-pressed") !== "true";
    element("reader").setAttribute("aria-pressed", String(pressed));
    this.#terminal.setScreenReader(pressed);
  }
}

/**
 * @param {string} text
 * @returns {Promise<boolean>} whether the browser let the page do it
 */
async function writeClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS, or without permission, only the older way works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
