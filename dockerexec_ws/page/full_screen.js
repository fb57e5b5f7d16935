/** Full screen, in which the keys that close and open tabs are the terminal's. */

import { element, on } from "./dom.js";

// Ctrl+W, Ctrl+T and Ctrl+N. With Escape, so that it does not leave full screen: the browser says to hold it for that.
const KEYS = ["KeyW", "KeyT", "KeyN", "Escape"];

/** The button. */
export class FullScreen {
  #say;
  #done;

  /**
   * @param {(text: string) => void} say shows a text as the status
   * @param {() => void} done called when the button has done its work
   */
  constructor(say, done) {
    this.#say = say;
    this.#done = done;
    element("full-screen").hidden = !document.fullscreenEnabled; // as on an iPhone
    on("full-screen", "click", () => this.#toggle());
    document.addEventListener("fullscreenchange", () => {
      element("full-screen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
    });
  }

  async #toggle() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.#enter();
    this.#done();
  }

  async #enter() {
    try {
      await document.documentElement.requestFullscreen();
    } catch {
      this.#say("The browser does not let this page fill the screen.");
      return;
    }
    const { keyboard } = /** @type {any} */ (navigator); // not in all browsers, and never without TLS
    try {
      await keyboard.lock(KEYS);
    } catch {
      this.#say("Ctrl+W, Ctrl+T and Ctrl+N stay the browser's: only Chromium gives them to a page, and only over TLS.");
    }
  }
}
