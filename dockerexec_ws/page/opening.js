/** What opens a session: the URL and the subprotocols of its WebSocket. */

import { SUBPROTOCOL } from "./wire.js";

const TOKEN_SUBPROTOCOL = "base64url.bearer.authorization.dockerexec-ws.";

/**
 * What to run. The container decides what is left out. Each item of `env` is `NAME=VALUE`.
 * @typedef {object} ExecRequest
 * @property {string[]} command the words of the argv
 * @property {boolean} [tty]
 * @property {import("./wire.js").Size} [size] of the terminal, set before the first output
 * @property {string} [user]
 * @property {string} [workdir]
 * @property {string[]} [env]
 * @property {string} [token] a bearer token
 */

/**
 * Return the WebSocket URL of a session.
 * @param {string | URL} url of the server's path, or of a container below it; may be relative to the page, and its
 *   scheme may be http or https
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
 * Return the subprotocols to offer. They carry the token, because a browser cannot set a WebSocket's headers.
 * @param {string} [token]
 * @returns {string[]}
 */
export function subprotocols(token) {
  if (!token) return [SUBPROTOCOL];
  const binary = String.fromCharCode(...new TextEncoder().encode(token));
  const encoded = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [SUBPROTOCOL, TOKEN_SUBPROTOCOL + encoded];
}
