/** The row of keys that a touch keyboard lacks. */

/** @type {Record<string, string>} */
const ARROWS = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D" };

/** The row. Ctrl stays pressed for the next key. */
export class TouchKeys {
  #control;
  #held = false;

  /**
   * @param {HTMLElement} row with buttons that have `data-key`
   * @param {(data: string) => void} type
   * @param {() => boolean} applicationCursor whether the program wants the arrows' application codes (DECCKM)
   */
  constructor(row, type, applicationCursor) {
    this.#control = /** @type {HTMLButtonElement} */ (row.querySelector("[data-key=Control]"));
    // Otherwise the touch would take the focus from the terminal, and close the touch keyboard.
    row.addEventListener("pointerdown", (event) => event.preventDefault());
    row.addEventListener("click", ({ target }) => {
      const key = target instanceof HTMLElement ? target.dataset.key : undefined;
      if (key === "Control") this.#hold(!this.#held);
      else if (key === "Escape") type("\x1b");
      else if (key === "Tab") type("\t");
      else if (key === "Ctrl-W") type("\x17");
      else if (key && this.#held) type(`\x1b[1;5${ARROWS[key]}`);
      else if (key) type(`\x1b${applicationCursor() ? "O" : "["}${ARROWS[key]}`);
      if (key && key !== "Control") this.#hold(false);
    });
  }

  /**
   * Return what to send for *data* that the user typed: with Ctrl, if Ctrl is held.
   * @param {string} data
   * @returns {string}
   */
  apply(data) {
    if (!this.#held || data.length !== 1) return data;
    this.#hold(false);
    const code = data.toUpperCase().charCodeAt(0);
    return code === 0x20 || (code >= 0x40 && code < 0x60) ? String.fromCharCode(code & 0x1f) : data;
  }

  /** @param {boolean} held */
  #hold(held) {
    this.#held = held;
    this.#control.setAttribute("aria-pressed", String(held));
  }
}
