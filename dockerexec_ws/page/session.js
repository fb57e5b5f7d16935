/** One session over a WebSocket, from the attempt to connect to the end of the command. */

import { OutputFlow } from "./flow.js";
import { sessionUrl, subprotocols } from "./opening.js";
import { StdinQueue } from "./stdin.js";
import { encode, parseServerMessage } from "./wire.js";

/**
 * How a session ended. Only "exited" has an exit code, which is never guessed.
 * - exited: the process ended by itself, with `code` (0 to 255)
 * - refused: the server accepted the connection and did not start the command; `text` says why
 * - stopped: the server ended a running session (a limit, an error of the engine); `text` says why, if the server did
 * - shutdown: the server is going away
 * - closed: `close()` was called
 * - lost: the connection broke, or the server broke the protocol
 * - unopened: no connection was made; a browser does not tell why
 * @typedef {{reason: "exited", code: number} | {reason: "refused" | "stopped", text: string}
 *   | {reason: "shutdown" | "closed" | "lost" | "unopened"}} Ending
 */

/**
 * @typedef {object} Listener
 * @property {() => void} started the server is ready: the command runs, or is about to
 * @property {(data: Uint8Array<ArrayBuffer>, stderr: boolean) => void} output call `consumed` when you are done with it
 * @property {(text: string) => void} notice the server complains about a message; the session goes on
 * @property {(ending: Ending) => void} ended called once; no other call follows it
 */

/** One session. */
export class ExecSession {
  #socket;
  #listener;
  #tty;
  /** @type {"connecting" | "open" | "running" | "ended"} */
  #state = "connecting";
  /** @type {import("./wire.js").Size | undefined} the size that the server knows */
  #size;
  /** @type {import("./wire.js").Size | undefined} the latest size */
  #newSize;
  #shutdown = false; // the server has announced it
  #complaint = ""; // the server's last one
  #stdin = new StdinQueue(
    (message) => this.#send(message),
    () => this.#socket.bufferedAmount,
  );
  #flow = new OutputFlow(
    () => this.#send(encode({ type: "pause" })),
    () => this.#send(encode({ type: "resume" })),
  );

  /**
   * @param {string | URL} url as for `sessionUrl`
   * @param {import("./opening.js").ExecRequest} request
   * @param {Listener} listener
   */
  constructor(url, request, listener) {
    this.#listener = listener;
    this.#tty = Boolean(request.tty);
    this.#size = request.size;
    this.#socket = new WebSocket(sessionUrl(url, request), subprotocols(request.token));
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      if (this.#state === "connecting") this.#state = "open";
    };
    this.#socket.onmessage = ({ data }) => this.#receive(new Uint8Array(data));
    this.#socket.onclose = ({ code }) => this.#end(this.#endingOf(code));
  }

  /**
   * Write to the process's stdin. What is written before the start waits for it.
   * @param {string | Uint8Array} data text is sent as UTF-8
   */
  write(data) {
    this.#stdin.write(data);
  }

  /** End stdin, after what was written. With a tty this types Ctrl-D, and more may be written. */
  endInput() {
    this.#stdin.end(!this.#tty);
  }

  /**
   * Tell the server the terminal's size. Does nothing without a tty.
   * @param {import("./wire.js").Size} size
   */
  resize(size) {
    if (!this.#tty) return;
    this.#newSize = size;
    if (this.#state === "running") this.#sendSize();
  }

  /**
   * Report output that you are done with. The server waits for it, so that a fast program cannot fill the memory.
   * @param {number} length bytes
   */
  consumed(length) {
    this.#flow.consumed(length);
  }

  /** Disconnect. The server ends the process. */
  close() {
    if (this.#state !== "ended") this.#close({ reason: "closed" });
  }

  /** @param {Uint8Array<ArrayBuffer>} data */
  #receive(data) {
    if (this.#state === "ended") return;
    const event = parseServerMessage(data);
    switch (event.type) {
      case "output":
        this.#flow.received(event.data.length);
        this.#listener.output(event.data, event.stream === "stderr");
        break;
      case "resume":
        this.#start();
        this.#stdin.resume();
        break;
      case "pause":
        this.#stdin.pause();
        break;
      case "stopped":
        this.#close({ reason: "exited", code: event.exitCode });
        break;
      case "shutdown":
        this.#shutdown = true;
        break;
      case "error":
        this.#complaint = event.text;
        if (this.#state === "running") this.#listener.notice(event.text);
        break;
      case "malformed":
        // The server broke the protocol. Whatever it says from here on cannot be trusted.
        this.#close({ reason: "lost" });
        break;
    }
  }

  #start() {
    if (this.#state === "running") return;
    this.#state = "running";
    this.#listener.started();
    this.#sendSize();
  }

  #sendSize() {
    const [size, known] = [this.#newSize, this.#size];
    if (!size || (size.rows === known?.rows && size.columns === known.columns)) return;
    this.#size = size;
    this.#send(encode({ type: "resize", ...size }));
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  #send(message) {
    if (this.#state !== "ended" && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /**
   * @param {number} closeCode
   * @returns {Ending}
   */
  #endingOf(closeCode) {
    const running = this.#state === "running";
    if (this.#shutdown || closeCode === 1001) return { reason: "shutdown" };
    if (closeCode !== 1006) return { reason: running ? "stopped" : "refused", text: this.#complaint };
    if (running) return { reason: "lost" };
    // The server said why it refuses, even if the connection broke before it could close.
    if (this.#complaint) return { reason: "refused", text: this.#complaint };
    return { reason: this.#state === "open" ? "lost" : "unopened" };
  }

  /** @param {Ending} ending */
  #close(ending) {
    this.#socket.close(1000);
    // Do not wait for the closing handshake: it comes behind output that nobody wants any more.
    this.#end(ending);
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#stdin.close();
    this.#listener.ended(ending);
  }
}
