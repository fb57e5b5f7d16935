/** The policy: what the server lets this user ask for, or why it lets the user ask for nothing. */

/** @typedef {{name: string, service: string}} Offer a container, and its Compose service or "" */

/**
 * @typedef {object} Policy
 * @property {string | null} identity
 * @property {boolean} chooses_container
 * @property {Offer[]} containers that run now; the policy may allow others as well
 * @property {boolean} any_command whether the user may type a command; otherwise only those in `commands`
 * @property {string[][]} commands
 * @property {string[] | null} shell the command that starts a shell, if the user may run `sh`
 * @property {boolean} tty
 * @property {boolean} read_only
 */

/** @typedef {{status: number, text: string}} PolicyRefusal status 0: the server could not be reached */

/**
 * @param {string} token "" for none
 * @returns {Promise<Policy | PolicyRefusal>}
 */
export async function askPolicy(token) {
  try {
    const url = new URL("policy.json", import.meta.url);
    url.search = new URLSearchParams({ origin: location.origin }).toString(); // which the browser does not tell here
    const response = await fetch(url, {
      cache: "no-store",
      redirect: "error",
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    if (response.ok) return await response.json();
    // A proxy in between answers with an HTML page of its own, which is not shown.
    const ours = response.headers.get("Content-Type")?.startsWith("text/plain");
    const text = ours ? (await response.text()).trim() : "";
    return { status: response.status, text: text || `The server answered with status ${response.status}.` };
  } catch {
    return { status: 0, text: "The server cannot be reached." };
  }
}

/**
 * @param {Policy | PolicyRefusal} answer
 * @returns {answer is PolicyRefusal}
 */
export function isRefusal(answer) {
  return "status" in answer;
}
