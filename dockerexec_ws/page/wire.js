/**
 * The first version of the wire protocol: a binary WebSocket message is one code byte and a payload. The names are
 * those of the Python package dockerexec_ws.protocol. Both must satisfy the examples in tests/protocol/vectors.json.
 */

/** The WebSocket subprotocol by which client and server agree on this version. */
export const SUBPROTOCOL = "dockerexec-ws";

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

/** @typedef {{rows: number, columns: number}} Size of a terminal in characters, each from 1 to 65535 */

/**
 * What the page tells the server.
 * - stdin: bytes for the process
 * - resize: the terminal has a new size
 * - resume: the page takes output again
 * - pause: the page takes no output until its next resume
 * - end: no stdin follows
 * @typedef {{type: "stdin", data: Uint8Array} | {type: "resize"} & Size
 *   | {type: "resume" | "pause" | "end"}} FromClient
 */

/**
 * What the server tells the page.
 * - output: bytes that the process wrote
 * - resume: the server takes stdin again; its first one says that the process runs
 * - pause: the server takes no stdin until its next resume
 * - stopped: the process has exited, with `exitCode` (0 to 255)
 * - shutdown: the server is going away
 * - error: the server says in `text` what is wrong; the session may go on
 * - unknown: a message without a meaning, to be ignored; `code` is null for an empty one
 * - malformed: a message with a meaning, but in the wrong form; `text` says what is wrong
 * @typedef {{type: "output", stream: "stdout" | "stderr", data: Uint8Array<ArrayBuffer>}
 *   | {type: "resume" | "pause" | "shutdown"} | {type: "stopped", exitCode: number}
 *   | {type: "error" | "malformed", text: string} | {type: "unknown", code: number | null}} FromServer
 */

/**
 * Read one message of the server. Never throws.
 * @param {Uint8Array<ArrayBuffer>} message
 * @returns {FromServer}
 */
export function parseServerMessage(message) {
  const payload = message.subarray(1);
  switch (message[0]) {
    case Code.STDOUT:
      return { type: "output", stream: "stdout", data: payload };
    case Code.STDERR:
      return { type: "output", stream: "stderr", data: payload };
    case Code.RESUME:
      return { type: "resume" };
    case Code.PAUSE:
      return { type: "pause" };
    case Code.STOPPED: {
      const [exitCode] = payload;
      if (exitCode === undefined || payload.length > 1) {
        return { type: "malformed", text: `a message with an exit code has 1 byte of it, not ${payload.length}` };
      }
      return { type: "stopped", exitCode };
    }
    case Code.SHUTDOWN:
      return { type: "shutdown" };
    case Code.ERROR:
      // "ignoreBOM" keeps a byte order mark, as any other character.
      return { type: "error", text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(payload) };
    default:
      return { type: "unknown", code: message[0] ?? null };
  }
}

/**
 * Return the message that tells *event*.
 * @param {FromClient} event
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(event) {
  switch (event.type) {
    case "stdin":
      return makeMessage(Code.STDIN, event.data);
    case "resize": {
      const payload = new DataView(new ArrayBuffer(4));
      payload.setUint16(0, event.rows, true);
      payload.setUint16(2, event.columns, true);
      return makeMessage(Code.RESIZE, new Uint8Array(payload.buffer));
    }
    case "resume":
      return makeMessage(Code.RESUME);
    case "pause":
      return makeMessage(Code.PAUSE);
    case "end":
      return makeMessage(Code.END);
  }
}

/**
 * @param {number} code
 * @param {Uint8Array} [payload]
 * @returns {Uint8Array<ArrayBuffer>}
 */
function makeMessage(code, payload = new Uint8Array()) {
  const message = new Uint8Array(1 + payload.length);
  message[0] = code;
  message.set(payload, 1);
  return message;
}
