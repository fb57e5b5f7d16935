/** The form that searches the terminal's output. */

import { element, on } from "./dom.js";

/** The form. */
export class FindForm {
  #terminal;

  /** @param {import("./terminal.js").TerminalView} terminal */
  constructor(terminal) {
    this.#terminal = terminal;
    on("find-open", "click", () => this.open());
    on("find-form", "submit", () => this.#find("next"));
    on("find-previous", "click", () => this.#find("previous"));
    on("find-close", "click", () => this.#close());
    element("find-text").addEventListener("input", () => this.#find("same"));
    element("find-form").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") this.#close();
      if (event.key !== "Enter" || !event.shiftKey) return;
      event.preventDefault();
      this.#find("previous");
    });
  }

  open() {
    element("find").hidden = false;
    element("find-text").select();
    element("find-text").focus();
  }

  /**
   * Show which match is marked.
   * @param {number} index from 0; -1 if there are too many matches to tell
   * @param {number} count
   */
  showCount(index, count) {
    element("find-count").textContent = count === 0 ? "none" : index < 0 ? `${count}+` : `${index + 1} of ${count}`;
  }

  #close() {
    element("find").hidden = true;
    this.#terminal.endFind();
    this.#terminal.focus();
  }

  /** @param {"next" | "previous" | "same"} which */
  #find(which) {
    this.#terminal.find(element("find-text").value, which);
  }
}
