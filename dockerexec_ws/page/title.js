/** The tab's title: the program's own title, and a bell if it rang while the tab had no focus. */

const NAME = "dockerexec";
const LONGEST = 80;

export class TabTitle {
  #program = "";
  #bell = false;

  constructor() {
    window.addEventListener("focus", () => {
      this.#bell = false;
      this.#show();
    });
  }

  /** @param {string} text that the program set; "" for none */
  program(text) {
    // Remove control characters, and those that change the direction of the text around them.
    const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "").trim();
    this.#program = [...clean].slice(0, LONGEST).join("");
    this.#show();
  }

  bell() {
    this.#bell = !document.hasFocus();
    this.#show();
  }

  #show() {
    document.title = (this.#bell ? "\u{1f514} " : "") + (this.#program ? `${this.#program} - ${NAME}` : NAME);
  }
}
