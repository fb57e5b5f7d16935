/** Typing without a tty. No terminal driver echoes or edits, so the page does both, and sends whole lines. */

/**
 * @typedef {object} LineActions
 * @property {(text: string) => void} echo show what was typed
 * @property {() => void} eraseLast remove the last character that was shown
 * @property {(text: string) => void} send
 * @property {() => void} end end stdin (Ctrl-D)
 * @property {() => void} interrupt Ctrl-C, which no terminal turns into a signal
 */

/** The line that the user is typing. */
export class LineInput {
  #actions;
  /** @type {string[]} its characters */
  #line = [];

  /** @param {LineActions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** @param {string} data as it comes from the terminal */
  type(data) {
    // Ignore escape sequences: arrows, other keys without a character, and the terminal's own answers.
    if (data.startsWith("\x1b")) return;
    let echo = "";
    let lines = "";
    for (const character of data) {
      if (character === "\r" || character === "\n") {
        lines += `${this.#line.splice(0).join("")}\n`;
        echo += "\n";
      } else if (character === "\x7f") {
        if (this.#line.pop() !== undefined) this.#actions.eraseLast();
      } else if (character === "\x03") {
        this.#actions.interrupt();
      } else if (character === "\x04") {
        this.#actions.send(this.#line.splice(0).join(""));
        this.#actions.end();
      } else if (character >= " " || character === "\t") {
        this.#line.push(character);
        echo += character;
      }
    }
    if (echo) this.#actions.echo(echo);
    if (lines) this.#actions.send(lines);
  }
}
