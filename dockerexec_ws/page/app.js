/** What the page does: it asks for the token and the policy, and runs one session at a time. It knows no document. */

import { LineInput } from "./line_input.js";
import { OutputQueue } from "./output.js";
import { askPolicy, isRefusal } from "./policy.js";
import { ExecSession } from "./session.js";
import { PageState } from "./states.js";
import { describeEnding, describeUnopened } from "./status.js";

// xterm.js draws 24-bit colours. The server takes this variable without permission.
const COLOURS = "COLORTERM=truecolor";
const NEEDS_TOKEN = "This server asks for a token.";

/**
 * The parts of the page that the application uses.
 * @typedef {object} Parts
 * @property {import("./form.js").CommandForm} form
 * @property {import("./link_warning.js").LinkWarning} link
 * @property {import("./terminal.js").TerminalView} terminal
 * @property {import("./title.js").TabTitle} title
 * @property {(look: import("./states.js").Look, readOnly: boolean, text?: string) => void} show
 */

/** The application, from the page's first moment to its last. */
export class App {
  #parts;
  #base;
  #tokenUse;
  #state;
  #token = ""; // kept here and nowhere else
  /** @type {import("./policy.js").Policy | undefined} */
  #policy;
  /** @type {ExecSession | undefined} */
  #session;
  /** @type {LineInput | undefined} for a session without a tty */
  #lineInput;

  /**
   * @param {Parts} parts
   * @param {URL} base of the server's path, with a slash at its end
   * @param {string | undefined} tokenUse "required", "optional" or "none"
   */
  constructor(parts, base, tokenUse) {
    this.#parts = parts;
    this.#base = base;
    this.#tokenUse = tokenUse;
    this.#state = new PageState((look, text) => parts.show(look, this.#readOnly, text));
  }

  /** Ask for what the server needs first: the token or the policy. */
  start() {
    // A request without the token could only fail, and a client address may fail only a few times a minute.
    if (this.#tokenUse === "required") this.#askToken(`Not connected. ${NEEDS_TOKEN}`);
    else this.#loadPolicy();
  }

  /** @returns {boolean} whether there is a session that leaving the page would end */
  get hasSession() {
    return this.#state.look.hasSession;
  }

  /** @param {string} token that the user entered */
  useToken(token) {
    // A browser could not send it, and would only say that the server cannot be reached.
    if (!/^[!-~]*$/.test(token)) {
      this.#askToken("This is not a token: it has characters that no token has. Copy it again.");
      return;
    }
    this.#token = token;
    this.#loadPolicy();
  }

  /** Start a session. Only a click on Connect, or Enter in the form, may call this. */
  connect() {
    if (this.hasSession) return;
    const { form, link, terminal, title } = this.#parts;
    link.dismiss();
    if (this.#tokenUse === "required" && !this.#token) {
      this.#askToken(NEEDS_TOKEN);
      return;
    }
    const request = form.request();
    if (!request) return;
    terminal.begin(Boolean(request.tty), this.#readOnly);
    title.program("");
    const what = form.describe(request);
    this.#state.move("connecting", `Connecting: ${what}`);
    this.#open(request, what);
    terminal.focus();
  }

  /** End the session, if there is one. */
  disconnect() {
    this.#session?.close();
  }

  /** @param {string | Uint8Array} data that the user typed */
  type(data) {
    if (!this.#state.look.takesInput || this.#readOnly) return;
    if (!this.#lineInput) this.#session?.write(data);
    else if (typeof data === "string") this.#lineInput.type(data);
  }

  /** @param {import("./wire.js").Size} size of the terminal */
  resize(size) {
    this.#session?.resize(size);
  }

  get #readOnly() {
    return Boolean(this.#policy?.read_only);
  }

  /**
   * @param {import("./opening.js").ExecRequest} request
   * @param {string} what runs, as the status shows it
   */
  #open(request, what) {
    const { form, terminal } = this.#parts;
    const output = new OutputQueue(
      (data, done) => terminal.write(data, done),
      (length) => session.consumed(length),
    );
    const env = [...(request.tty ? [COLOURS] : []), ...(request.env ?? [])];
    const running = `Running${this.#readOnly ? ", output only" : ""}: ${what}`;
    const session = new ExecSession(
      this.#address(form.container),
      { ...request, env, token: this.#token, size: terminal.size },
      {
        started: () => this.#state.move("running", running),
        output: (data, stderr) => output.put(data, stderr),
        notice: (text) => this.#state.move("running", `Running, but: ${text}`),
        ended: (ending) => this.#finish(ending, output),
      },
    );
    this.#session = session;
    this.#lineInput = request.tty ? undefined : this.#lineInputOf(session);
  }

  /**
   * @param {string} container "" for the server's only one
   * @returns {URL} of its sessions
   */
  #address(container) {
    return new URL(encodeURIComponent(container), this.#base);
  }

  /**
   * @param {ExecSession} session
   * @returns {LineInput}
   */
  #lineInputOf(session) {
    const { terminal } = this.#parts;
    return new LineInput({
      echo: (text) => terminal.write(text),
      eraseLast: () => terminal.eraseLast(),
      send: (text) => session.write(text),
      end: () => session.endInput(),
      interrupt: () => session.close(),
    });
  }

  /**
   * @param {import("./session.js").Ending} ending
   * @param {OutputQueue} output
   */
  async #finish(ending, output) {
    this.#state.move("finishing");
    this.#session = undefined;
    this.#lineInput = undefined;
    if (ending.reason === "closed") output.drop(); // the user left, and wants no more of it
    // Write the rest of the output before the text about the end, and before anything of the next session.
    await output.done();
    const { state, text } = describeEnding(ending);
    this.#state.move(state, text);
    if (ending.reason === "unopened") await this.#explainUnopened();
    else this.#parts.terminal.finish(text);
  }

  /** Find out why there was no connection. A browser does not tell, but the server may answer a plain request. */
  async #explainUnopened() {
    const answer = await askPolicy(this.#token);
    if (this.hasSession) return; // the user has connected again meanwhile
    const text = describeUnopened(answer);
    if (this.#needsToken(answer)) this.#askToken(text);
    else this.#state.move("failed", text);
    this.#parts.terminal.finish(text);
  }

  /** Offer the containers that run now. */
  async refreshContainers() {
    if (!this.#policy || this.hasSession) return;
    const answer = await askPolicy(this.#token);
    if (!isRefusal(answer)) this.#parts.form.offerContainers(answer.containers);
  }

  async #loadPolicy() {
    const { form, link } = this.#parts;
    const answer = await askPolicy(this.#token);
    if (this.hasSession) return;
    if (!isRefusal(answer)) {
      this.#policy = answer;
      form.applyPolicy(answer);
      form.showMore();
      const identity = answer.identity ? `You are ${answer.identity}.` : "";
      this.#state.move("idle", ["Not connected.", identity, link.warning].join(" ").trim());
      // After a link, Enter that was meant for something else must not start a command.
      if (!link.warning) form.focus();
    } else if (this.#needsToken(answer)) {
      this.#askToken(this.#token ? `The token was not accepted: ${answer.text}` : NEEDS_TOKEN);
    } else {
      form.showMore();
      // The user can try another token, if the page had asked for one.
      this.#state.move(this.#state.look.asksToken ? "rejected" : "failed", `Not connected: ${answer.text}`);
    }
  }

  /**
   * @param {import("./policy.js").Policy | import("./policy.js").PolicyRefusal} answer
   * @returns {boolean} whether a token would help
   */
  #needsToken(answer) {
    return isRefusal(answer) && answer.status === 401 && this.#tokenUse !== "none";
  }

  /** @param {string} text why */
  #askToken(text) {
    const had = this.#token !== "";
    this.#token = "";
    this.#state.move(had ? "rejected" : "asking", text);
  }
}
