/** The states of the page: what each one shows and allows, and which state may follow it. It knows no document. */

/**
 * What a state shows and allows.
 * @typedef {object} Look
 * @property {"idle" | "connecting" | "running" | "ended" | "failed"} mark the sign before the status text; the body's
 *   data-state, by which the style sheets also choose the layout
 * @property {boolean} asksToken the form for the token is open
 * @property {boolean} hasSession Disconnect replaces Connect, the command form is locked, and the browser asks before
 *   the user leaves the page
 * @property {boolean} takesInput what the user types goes to the session
 * @property {boolean} showsKeys Paste and the keys for touch screens can be used, unless the session is output only
 */

/** @type {Look} */
const AT_REST = { mark: "idle", asksToken: false, hasSession: false, takesInput: false, showsKeys: false };
/** @type {Look} */
const IN_SESSION = { ...AT_REST, mark: "running", hasSession: true, takesInput: true, showsKeys: true };

/** Every state. */
const LOOKS = Object.freeze({
  /** Nothing has run since the policy came. */
  idle: AT_REST,
  /** The server needs a token, and the page has none. */
  asking: { ...AT_REST, asksToken: true },
  /** The token did not open the server. */
  rejected: { ...AT_REST, mark: /** @type {const} */ ("failed"), asksToken: true },
  /** The server has not said yet that it is ready. What is typed waits for that. */
  connecting: { ...IN_SESSION, mark: /** @type {const} */ ("connecting"), showsKeys: false },
  running: IN_SESSION,
  /** The session is over, and its last output is still being written to the terminal. */
  finishing: { ...IN_SESSION, takesInput: false },
  /** The last session ended as it should. */
  ended: { ...AT_REST, mark: /** @type {const} */ ("ended") },
  /** There is no session, and the status text says why. */
  failed: { ...AT_REST, mark: /** @type {const} */ ("failed") },
});

/** @typedef {keyof typeof LOOKS} State */

/** @type {State[]} Without a session, an answer about the policy can lead to any other state without one. */
const AFTER_REST = ["idle", "asking", "rejected", "failed", "connecting"];

/** @type {Record<State, State[]>} */
const NEXT = {
  idle: AFTER_REST,
  asking: AFTER_REST,
  rejected: AFTER_REST,
  ended: AFTER_REST,
  failed: AFTER_REST,
  connecting: ["running", "finishing"],
  running: ["running", "finishing"],
  finishing: ["ended", "failed"],
};

/** The state that the page is in. */
export class PageState {
  /** @type {State} */
  #state = "idle";
  #show;

  /** @param {(look: Look, text?: string) => void} show called at each move; without *text* the status text stays */
  constructor(show) {
    this.#show = show;
  }

  /** @returns {Look} */
  get look() {
    return LOOKS[this.#state];
  }

  /**
   * Go to another state. Throws if that cannot follow the present one.
   * @param {State} next
   * @param {string} [text] of the status, which screen readers announce
   */
  move(next, text) {
    if (!NEXT[this.#state].includes(next)) throw new Error(`The page cannot go from ${this.#state} to ${next}.`);
    this.#state = next;
    this.#show(this.look, text);
  }
}
