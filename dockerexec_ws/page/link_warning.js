/** The warning about a command that a link filled in: nothing starts before the user can have read it. */

const READING_TIME = 1000; // ms

/** The warning, from the moment at which a link filled the form in until the user connects. */
export class LinkWarning {
  #connect;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #holding;
  #text = "";

  /** @param {HTMLButtonElement} connect */
  constructor(connect) {
    this.#connect = connect;
    window.addEventListener("focus", () => this.#hold());
  }

  /** @returns {string} "" if no link filled the form in, or if the user has connected since */
  get warning() {
    return this.#text;
  }

  /** @param {string} words all that was filled in: the fields may show no more than a harmless beginning */
  warn(words) {
    this.#text = `A link filled in the form. Check it before you connect${words ? `: ${words}` : "."}`;
    this.#hold();
  }

  /** The user has connected. */
  dismiss() {
    this.#text = "";
  }

  /**
   * Disable Connect for a moment. Otherwise a click that was meant for what was on the screen before would start the
   * command: the second click of a double click, say, whose first one closed a window that lay over this one.
   */
  #hold() {
    if (!this.#text) return;
    clearTimeout(this.#holding);
    this.#connect.disabled = true;
    this.#holding = setTimeout(() => {
      this.#connect.disabled = false;
    }, READING_TIME);
  }
}
