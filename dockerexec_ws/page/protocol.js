/**
 * The wire protocol of dockerexec-ws, for a browser or Node.js 22: one WebSocket is one command in a container.
 *
 *     const session = new ExecSession("wss://HOST/x", { command: ["bash"], tty: true }, {
 *       started() {}, output(data, stderr) { session.consumed(data.length); }, notice(text) {}, ended(ending) {},
 *     });
 *     session.write("ls\n");
 *
 * Binary messages: one byte of code, then the payload. This module needs no other one but flow.js.
 */

import { OutputFlow } from "./flow.js";

/** The first byte of a message. */
export const Code = Object.freeze({
  STDIN: 0,
  STDOUT: 1,
  STDERR: 2,
  RESIZE: 50,
  RESUME: 100,
  PAUSE: 101,
  END: 102,
  STOPPED: 200,
  SHUTDOWN: 201,
  ERROR: 202,
});

/** Bytes of stdin in one message; far below the server's limit. */
export const LARGEST_INPUT = 64 * 1024;

// Bytes on their way above which stdin waits: resume and pause must not queue behind all of a large paste, and the
// server's own pause has to be heard.
const MOST_BUFFERED = 512 * 1024;
const BUFFER_DELAY = 10; // ms until the buffer is looked at again; a browser does not tell when it has become empty

const SUBPROTOCOL = "dockerexec-ws";
const TOKEN_SUBPROTOCOL = "base64url.bearer.authorization.dockerexec-ws.";

/**
 * What is to run. What is left out is the container's own affair; `env` has `NAME=VALUE` strings.
 * @typedef {object} ExecRequest
 * @property {string[]} command the words of the argv
 * @property {boolean} [tty]
 * @property {Size} [size] of the terminal, in force before the first output
 * @property {string} [user]
 * @property {string} [workdir]
 * @property {string[]} [env]
 * @property {string} [token] a bearer token
 */

/** @typedef {{rows: number, columns: number}} Size from 1 to 65535 */

/**
 * How a session ended. Only "exited" has an exit code: it is never guessed.
 * - exited: the process ended by itself, with `code` (0 to 255)
 * - refused: the server took the connection and did not start the command; `text` says why
 * - stopped: the server ended a running session (a limit, an error of the engine); `text` says why, if it did
 * - shutdown: the server goes away
 * - closed: `close()` was called
 * - lost: the connection broke
 * - unopened: there was no connection; a browser does not tell why
 * @typedef {{reason: "exited", code: number} | {reason: "refused" | "stopped", text: string}
 *   | {reason: "shutdown" | "closed" | "lost" | "unopened"}} Ending
 */

/**
 * @typedef {object} Listener
 * @property {() => void} started the server is ready: the command is running, or about to
 * @property {(data: Uint8Array<ArrayBuffer>, stderr: boolean) => void} output tell `consumed` when it is done with
 * @property {(text: string) => void} notice the server complains about a message; the session goes on
 * @property {(ending: Ending) => void} ended called once; nothing is called after it
 */

/**
 * @param {number} code
 * @param {Uint8Array} [payload]
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeMessage(code, payload = new Uint8Array()) {
  const message = new Uint8Array(1 + payload.length);
  message[0] = code;
  message.set(payload, 1);
  return message;
}

/**
 * @param {Size} size
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeResize({ rows, columns }) {
  const payload = new DataView(new ArrayBuffer(4));
  payload.setUint16(0, rows, true);
  payload.setUint16(2, columns, true);
  return encodeMessage(Code.RESIZE, new Uint8Array(payload.buffer));
}

/**
 * @param {string | URL} url of the server's path, or of a container below it; http and https will do as well, and what is
 *   relative to the page
 * @param {ExecRequest} request
 * @returns {string}
 */
export function sessionUrl(url, request) {
  const result = new URL(url, globalThis.location?.href);
  result.protocol = result.protocol.replace("http", "ws");
  const query = new URLSearchParams({ tty: String(Boolean(request.tty)) });
  for (const word of request.command) query.append("command", word);
  if (request.tty && request.size) {
    query.set("rows", String(request.size.rows));
    query.set("columns", String(request.size.columns));
  }
  if (request.user) query.set("user", request.user);
  if (request.workdir) query.set("workdir", request.workdir);
  for (const variable of request.env ?? []) query.append("env", variable);
  result.search = query.toString();
  return result.href;
}

/**
 * @param {string} [token]
 * @returns {string[]} for a WebSocket; a browser cannot send the token as a header
 */
export function subprotocols(token) {
  if (!token) return [SUBPROTOCOL];
  const binary = String.fromCharCode(...new TextEncoder().encode(token));
  const encoded = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [SUBPROTOCOL, TOKEN_SUBPROTOCOL + encoded];
}

/** One command, from the attempt to connect to its end. */
export class ExecSession {
  #socket;
  #listener;
  #tty;
  /** @type {Size | undefined} the size that the server knows */
  #size;
  /** @type {Size | undefined} the size that it does not know yet */
  #newSize;
  #opened = false;
  #started = false;
  #ended = false;
  #shutdown = false;
  #errorText = "";
  /** @type {Uint8Array[]} stdin that is no message yet */
  #written = [];
  /** @type {Uint8Array<ArrayBuffer>[]} messages of stdin that have to wait */
  #held = [];
  #mayWrite = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sending;
  #stdinEnded = false;
  #flow = new OutputFlow(
    () => this.#sendNow(encodeMessage(Code.PAUSE)),
    () => this.#sendNow(encodeMessage(Code.RESUME)),
  );

  /**
   * @param {string | URL} url as for `sessionUrl`
   * @param {ExecRequest} request
   * @param {Listener} listener
   */
  constructor(url, request, listener) {
    this.#listener = listener;
    this.#tty = Boolean(request.tty);
    this.#size = request.size;
    this.#socket = new WebSocket(sessionUrl(url, request), subprotocols(request.token));
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      this.#opened = true;
    };
    this.#socket.onmessage = ({ data }) => this.#receive(new Uint8Array(data));
    this.#socket.onclose = ({ code }) => this.#end(this.#endingOf(code));
  }

  /**
   * Type into the process; text is sent as UTF-8. Nothing is lost before the start: it waits.
   * @param {string | Uint8Array} data
   */
  write(data) {
    if (this.#stdinEnded) return;
    // A terminal gives each answer by itself, and output may ask for thousands at once: together they are a message.
    if (this.#written.length === 0) queueMicrotask(() => this.#sendWritten());
    this.#written.push(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** End stdin, after what was written; with a tty Ctrl-D is typed, and there may be more. */
  endInput() {
    if (this.#stdinEnded) return;
    this.#sendWritten();
    this.#stdinEnded = !this.#tty;
    this.#send(encodeMessage(Code.END));
  }

  /**
   * Tell the terminal's size; without a tty there is none.
   * @param {Size} size
   */
  resize(size) {
    if (!this.#tty) return;
    this.#newSize = size;
    if (this.#started) this.#sendSize();
  }

  /**
   * Tell that output was dealt with: this is what keeps a fast program from filling the memory.
   * @param {number} length bytes
   */
  consumed(length) {
    this.#flow.consumed(length);
  }

  /** Disconnect: the server ends the process. */
  close() {
    if (this.#ended) return;
    this.#socket.close(1000);
    // The closing handshake waits for output on its way, which nobody wants any more.
    this.#end({ reason: "closed" });
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  #receive(message) {
    if (this.#ended) return;
    const payload = message.subarray(1);
    switch (message[0]) {
      case Code.STDOUT:
      case Code.STDERR:
        this.#flow.received(payload.length);
        this.#listener.output(payload, message[0] === Code.STDERR);
        break;
      case Code.RESUME:
        this.#resume();
        break;
      case Code.PAUSE:
        this.#mayWrite = false;
        break;
      case Code.STOPPED:
        this.#socket.close(1000);
        this.#end(
          payload.length > 0
            ? { reason: "exited", code: /** @type {number} */ (payload[0]) }
            : { reason: "stopped", text: "" },
        );
        break;
      case Code.SHUTDOWN:
        this.#shutdown = true;
        break;
      case Code.ERROR:
        this.#errorText = new TextDecoder().decode(payload);
        if (this.#started) this.#listener.notice(this.#errorText);
        break;
    }
  }

  #resume() {
    this.#mayWrite = true;
    if (!this.#started) {
      this.#started = true;
      this.#listener.started();
      this.#sendSize();
    }
    this.#sendHeld();
  }

  #sendWritten() {
    const bytes = join(this.#written);
    this.#written = [];
    for (let begin = 0; begin < bytes.length; ) {
      const end = pieceEnd(bytes, begin);
      this.#send(encodeMessage(Code.STDIN, bytes.subarray(begin, end)));
      begin = end;
    }
  }

  #sendSize() {
    const [size, known] = [this.#newSize, this.#size];
    if (!size || (size.rows === known?.rows && size.columns === known.columns)) return;
    this.#size = size;
    this.#sendNow(encodeResize(size));
  }

  /** @param {Uint8Array<ArrayBuffer>} message of stdin: it may have to wait */
  #send(message) {
    if (this.#ended) return;
    this.#held.push(message);
    this.#sendHeld();
  }

  #sendHeld() {
    clearTimeout(this.#sending);
    while (this.#mayWrite && this.#socket.bufferedAmount < MOST_BUFFERED) {
      const message = this.#held.shift();
      if (!message) return;
      this.#sendNow(message);
    }
    if (this.#mayWrite && !this.#ended) this.#sending = setTimeout(() => this.#sendHeld(), BUFFER_DELAY);
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  #sendNow(message) {
    if (!this.#ended && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /**
   * @param {number} closeCode
   * @returns {Ending}
   */
  #endingOf(closeCode) {
    if (this.#shutdown || closeCode === 1001) return { reason: "shutdown" };
    if (closeCode !== 1006) return { reason: this.#started ? "stopped" : "refused", text: this.#errorText };
    if (this.#started) return { reason: "lost" };
    // A refusal that was told before the connection broke is one all the same.
    if (this.#errorText) return { reason: "refused", text: this.#errorText };
    return { reason: this.#opened ? "lost" : "unopened" };
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#ended) return;
    this.#ended = true;
    this.#held = [];
    this.#listener.ended(ending);
  }
}

/**
 * Where a message of stdin ends that begins at *begin*: not within a character of UTF-8.
 * @param {Uint8Array} bytes
 * @param {number} begin
 * @returns {number}
 */
function pieceEnd(bytes, begin) {
  const most = begin + LARGEST_INPUT;
  if (most >= bytes.length) return bytes.length;
  let end = most;
  // A character has at most three bytes after its first; what has more is no text.
  while (end > most - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end > most - 4 ? end : most;
}

/**
 * @param {Uint8Array[]} pieces
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function join(pieces) {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
