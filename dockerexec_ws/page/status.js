/** The status texts about the end of a session. */

/**
 * Describe how a session ended.
 * @param {import("./session.js").Ending} ending
 * @returns {{state: "ended" | "failed", text: string}} the page's state, and the status text
 */
export function describeEnding(ending) {
  switch (ending.reason) {
    case "exited":
      return { state: ending.code === 0 ? "ended" : "failed", text: `Ended with exit code ${ending.code}.` };
    case "refused":
      return { state: "failed", text: `Refused: ${ending.text || "the server did not say why."}` };
    case "stopped":
      return { state: "failed", text: `Ended by the server: ${ending.text || "it did not say why."}` };
    case "shutdown":
      return { state: "failed", text: "Shut down: the server is going away." };
    case "closed":
      return { state: "ended", text: "Disconnected." };
    case "lost":
      return { state: "failed", text: "Connection lost. The exit code is unknown." };
    case "unopened":
      return { state: "failed", text: "Could not connect." };
  }
}

/**
 * Describe why there was no connection, by what the server answered to a plain request afterwards.
 * @param {import("./policy.js").Policy | import("./policy.js").PolicyRefusal} answer
 * @returns {string}
 */
export function describeUnopened(answer) {
  return "status" in answer
    ? `Could not connect: ${answer.text}`
    : "Could not connect, although the server answers. A proxy in between may not pass on the header Upgrade.";
}
