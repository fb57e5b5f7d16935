/**
 * Flow control of the output: it decides when the server pauses and when it resumes, so that a fast program neither
 * fills the memory nor delays the answer to a key.
 *
 * A browser buffers any amount before it delivers it, and so do the kernels in between. Nothing tells how much they
 * hold, except that more keeps coming. So the page pauses the server after each burst, until all of it has arrived
 * and been consumed.
 */

/** The page pauses the server when this many bytes have come without a rest. */
export const LONGEST_BURST = 256 * 1024;
/** The page resumes the server when all is consumed and nothing has come for this long, in milliseconds. */
export const REST = 15;

/** Counts the output of one session. */
export class OutputFlow {
  #pause;
  #resume;
  #pausing = false;
  #outstanding = 0; // bytes not consumed yet
  #burst = 0; // bytes since the last rest
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

  /** @param {number} length bytes that have arrived */
  received(length) {
    clearTimeout(this.#resting);
    this.#outstanding += length;
    this.#burst += length;
    if (this.#pausing || this.#burst <= LONGEST_BURST) return;
    this.#pausing = true;
    this.#pause();
  }

  /** @param {number} length bytes that have been consumed */
  consumed(length) {
    this.#outstanding -= length;
    if (this.#outstanding === 0) this.#awaitRest();
  }

  #awaitRest() {
    const begin = performance.now();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      // A late timer means that the browser was busy, and may not have delivered what arrived meanwhile. In a hidden
      // tab every timer is late.
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
