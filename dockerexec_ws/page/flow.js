/**
 * When the server is to pause its output, and to go on: it keeps a fast program from filling the memory, and short what
 * waits on the way.
 *
 * A browser holds any amount before it hands it out, and so do the kernels between. How much that is, and with it how
 * long a key's answer has to wait behind it, is told by nothing but that more keeps coming: so the server is paused
 * after each burst, until all of that has arrived and is dealt with.
 */

/** The server is paused when it has sent more bytes than this without a moment's rest, ... */
export const LONGEST_BURST = 256 * 1024;
/** ... and goes on when they are consumed, and nothing more has come for as many milliseconds as this. */
export const REST = 15;

/** The output of one session, counted. */
export class OutputFlow {
  #pause;
  #resume;
  #pausing = false;
  #outstanding = 0; // bytes that are not consumed
  #burst = 0; // bytes that came one after the other
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting;

  /**
   * @param {() => void} pause
   * @param {() => void} resume
   */
  constructor(pause, resume) {
    this.#pause = pause;
    this.#resume = resume;
  }

  /** @param {number} length bytes that came */
  received(length) {
    clearTimeout(this.#resting);
    this.#outstanding += length;
    this.#burst += length;
    if (this.#pausing || this.#burst <= LONGEST_BURST) return;
    this.#pausing = true;
    this.#pause();
  }

  /** @param {number} length bytes that have been dealt with */
  consumed(length) {
    this.#outstanding -= length;
    if (this.#outstanding === 0) this.#awaitRest();
  }

  #awaitRest() {
    const begin = performance.now();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      // A timer that is late tells of other work: what came meanwhile may not have been handed out yet. (In a tab that
      // nobody sees each one is late.)
      const late = performance.now() - begin > 2 * REST;
      if (late && globalThis.document?.visibilityState === "visible") this.#awaitRest();
      else this.#rest();
    }, REST);
  }

  #rest() {
    this.#burst = 0;
    if (!this.#pausing) return;
    this.#pausing = false;
    this.#resume();
  }
}
