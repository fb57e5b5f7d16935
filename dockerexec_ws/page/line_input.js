/** Typing without a tty: nobody but the page shows what is typed, and it is sent a line at a time. */

/**
 * @typedef {object} LineActions
 * @property {(text: string) => void} echo show
 * @property {() => void} eraseLast take the last character back that was shown
 * @property {(text: string) => void} send
 * @property {() => void} end Ctrl-D: the end of stdin
 * @property {() => void} interrupt Ctrl-C: there is no terminal that would make a signal of it
 */

/** The line that is being typed. */
export class LineInput {
  #actions;
  /** @type {string[]} its characters */
  #line = [];

  /** @param {LineActions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** @param {string} data as the terminal gives it */
  type(data) {
    // Arrows and other keys, and the terminal's own answers, are nothing that a line is made of.
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
