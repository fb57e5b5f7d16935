/** The tab's title: what the program asks for, and whether it rang while nobody looked. */

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

  /** @param {string} text of the program's choice: "" for none */
  program(text) {
    // Controls, and what changes the direction of the text around it.
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
