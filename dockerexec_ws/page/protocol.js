/**
 * The protocol of dockerexec-ws, for a page of your own or for Node.js 22. One session is one command in a container:
 *
 *     const session = new ExecSession("wss://HOST/x", { command: ["bash"], tty: true }, {
 *       started() {}, output(data, stderr) { session.consumed(data.length); }, notice(text) {}, ended(ending) {},
 *     });
 *     session.write("ls\n");
 *
 * `ExecSession` (session.js) describes its methods, the request (opening.js) and the listener.
 */

export { sessionUrl, subprotocols } from "./opening.js";
export { ExecSession } from "./session.js";
