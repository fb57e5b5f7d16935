/**
 * The messages of the wire protocol's version 1, which the subprotocol `dockerexec-ws` selects. A binary WebSocket message
 * is one code byte and a payload. Pure: no socket, no clock. The names are those of the Python package
 * dockerexec_ws.protocol.
 */

/** The WebSocket subprotocol of this version. */
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
 * A message from the server.
 * - Output: bytes that the process wrote to stdout, or to stderr
 * - Resume: the server takes stdin; the first one says that it is ready
 * - Pause: the server takes no stdin until its next Resume
 * - Stopped: the process exited, with `exitCode` (0 to 255)
 * - Shutdown: the server is going away
 * - Complaint: the server reports a fault; the session may go on
 * - Unknown: a message without a meaning, which is ignored; `code` is null for an empty message
 * @typedef {{type: "Output", stderr: boolean, data: Uint8Array<ArrayBuffer>} | {type: "Resume" | "Pause" | "Shutdown"}
 *   | {type: "Stopped", exitCode: number | undefined} | {type: "Complaint", text: string}
 *   | {type: "Unknown", code: number | null}} ServerMessage
 */

/**
 * Parse one message from the server. Never throws.
 * @param {Uint8Array<ArrayBuffer>} message
 * @returns {ServerMessage}
 */
export function parseServerMessage(message) {
  const payload = message.subarray(1);
  switch (message[0]) {
    case Code.STDOUT:
      return { type: "Output", stderr: false, data: payload };
    case Code.STDERR:
      return { type: "Output", stderr: true, data: payload };
    case Code.RESUME:
      return { type: "Resume" };
    case Code.PAUSE:
      return { type: "Pause" };
    case Code.STOPPED:
      return { type: "Stopped", exitCode: payload[0] };
    case Code.SHUTDOWN:
      return { type: "Shutdown" };
    case Code.ERROR:
      return { type: "Complaint", text: new TextDecoder().decode(payload) };
    default:
      return { type: "Unknown", code: message[0] ?? null };
  }
}

/**
 * Make a message for the server.
 * @param {number} code
 * @param {Uint8Array} [payload]
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function makeMessage(code, payload = new Uint8Array()) {
  const message = new Uint8Array(1 + payload.length);
  message[0] = code;
  message.set(payload, 1);
  return message;
}

/**
 * Make the message that tells the terminal's size: rows and columns, unsigned 16-bit little-endian.
 * @param {Size} size
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function resizeMessage({ rows, columns }) {
  const payload = new DataView(new ArrayBuffer(4));
  payload.setUint16(0, rows, true);
  payload.setUint16(2, columns, true);
  return makeMessage(Code.RESIZE, new Uint8Array(payload.buffer));
}
