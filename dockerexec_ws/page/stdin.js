/** The stdin of one session: it is cut into messages, which wait while the server or the network cannot take them. */

import { join } from "./bytes.js";
import { encode } from "./wire.js";

/** Maximum bytes of stdin in one message; far below the server's limit. */
export const LARGEST_INPUT = 64 * 1024;

// Stdin waits above this many bytes that the browser has not sent yet. Otherwise our resume and pause messages would
// queue behind all of a large paste, and a pause from the server would come too late.
const MOST_BUFFERED = 512 * 1024;
const BUFFER_DELAY = 10; // ms between looks at the browser's buffer, because no event tells when it has drained

/** The stdin of one session. */
export class StdinQueue {
  #send;
  #buffered;
  /** @type {Uint8Array[]} written, and not part of a message yet */
  #written = [];
  /** @type {Uint8Array<ArrayBuffer>[]} messages that wait */
  #messages = [];
  #paused = true; // until the server's first resume
  #ended = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /**
   * @param {(message: Uint8Array<ArrayBuffer>) => void} send
   * @param {() => number} buffered how many bytes the browser has not sent yet
   */
  constructor(send, buffered) {
    this.#send = send;
    this.#buffered = buffered;
  }

  /** @param {string | Uint8Array} data text is sent as UTF-8 */
  write(data) {
    if (this.#ended) return;
    // A terminal writes each of its answers by itself, and output can ask for thousands of them at once. All that is
    // written before the next microtask shares a message.
    if (this.#written.length === 0) queueMicrotask(() => this.#cut());
    this.#written.push(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /**
   * Send the end of stdin after all that was written.
   * @param {boolean} final whether later writes are ignored
   */
  end(final) {
    if (this.#ended) return;
    this.#cut();
    this.#messages.push(encode({ type: "end" }));
    this.#ended = final;
    this.#flush();
  }

  /** Wait for `resume`. */
  pause() {
    this.#paused = true;
  }

  /** Send what waits, and go on sending. */
  resume() {
    this.#paused = false;
    this.#flush();
  }

  /** Drop what waits, and ignore later writes. */
  close() {
    this.#ended = true;
    this.#written = [];
    this.#messages = [];
    clearTimeout(this.#retry);
  }

  #cut() {
    const bytes = join(this.#written);
    this.#written = [];
    for (let begin = 0; begin < bytes.length; ) {
      const end = pieceEnd(bytes, begin);
      this.#messages.push(encode({ type: "stdin", data: bytes.subarray(begin, end) }));
      begin = end;
    }
    this.#flush();
  }

  #flush() {
    clearTimeout(this.#retry);
    while (!this.#paused && this.#messages.length > 0) {
      if (this.#buffered() >= MOST_BUFFERED) {
        this.#retry = setTimeout(() => this.#flush(), BUFFER_DELAY);
        return;
      }
      this.#send(/** @type {Uint8Array<ArrayBuffer>} */ (this.#messages.shift()));
    }
  }
}

/**
 * Return where the message that begins at *begin* ends: not within a UTF-8 character.
 * @param {Uint8Array} bytes
 * @param {number} begin
 * @returns {number}
 */
function pieceEnd(bytes, begin) {
  const most = begin + LARGEST_INPUT;
  if (most >= bytes.length) return bytes.length;
  let end = most;
  // A character has at most three continuation bytes. More of them are not text.
  while (end > most - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end > most - 4 ? end : most;
}
