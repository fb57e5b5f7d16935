/** Output on its way to the terminal. It joins small messages and cuts large ones, which keeps the page responsive. */

import { join } from "./bytes.js";

/** Maximum bytes of one write: a few milliseconds of work for the terminal, after which it can yield. */
const LARGEST_WRITE = 64 * 1024;

// stderr is red. This disturbs few programs, because most use no colours of their own without a tty.
const STDERR_BEGIN = new TextEncoder().encode("\x1b[31m");
const STDERR_END = new TextEncoder().encode("\x1b[39m");

/** @typedef {{data: Uint8Array<ArrayBuffer>, stderr: boolean}} Part */

/** The output of one session. */
export class OutputQueue {
  #write;
  #consumed;
  /** @type {Part[]} */
  #parts = [];
  #writing = false;
  /** @type {(() => void) | undefined} */
  #done;

  /**
   * @param {(data: Uint8Array, done: () => void) => void} write
   * @param {(length: number) => void} consumed called with the number of bytes that have been written
   */
  constructor(write, consumed) {
    this.#write = write;
    this.#consumed = consumed;
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} data
   * @param {boolean} stderr
   */
  put(data, stderr) {
    this.#parts.push({ data, stderr });
    if (!this.#writing) this.#next();
  }

  /** Discard what has not been written yet. */
  drop() {
    this.#parts = [];
  }

  /** @returns {Promise<void>} resolved once all output has been written */
  done() {
    return new Promise((resolve) => {
      if (this.#writing) this.#done = resolve;
      else resolve();
    });
  }

  #next() {
    const part = this.#take();
    this.#writing = part !== undefined;
    if (!part) {
      this.#done?.();
      return;
    }
    const data = part.stderr ? join([STDERR_BEGIN, part.data, STDERR_END]) : part.data;
    this.#write(data, () => {
      this.#consumed(part.data.length);
      this.#next();
    });
  }

  /** @returns {Part | undefined} the next write: output of one stream */
  #take() {
    const first = this.#parts.shift();
    if (!first) return undefined;
    const pieces = [first.data];
    let length = first.data.length;
    while (length < LARGEST_WRITE && this.#parts[0]?.stderr === first.stderr) {
      const { data } = /** @type {Part} */ (this.#parts.shift());
      pieces.push(data);
      length += data.length;
    }
    const data = pieces.length === 1 ? first.data : join(pieces);
    if (length > LARGEST_WRITE) {
      this.#parts.unshift({ data: data.subarray(LARGEST_WRITE), stderr: first.stderr });
      return { data: data.subarray(0, LARGEST_WRITE), stderr: first.stderr };
    }
    return { data, stderr: first.stderr };
  }
}
