/** What the server lets this page's user ask for; and, when it lets nothing, why. */

/**
 * @typedef {object} Policy
 * @property {string | null} identity
 * @property {boolean} chooses_container
 * @property {string[]} containers names; clients may be free to choose others as well
 * @property {boolean} any_command false: only whole commands of the list
 * @property {string[][]} commands
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
    const response = await fetch(new URL("policy.json", import.meta.url), {
      cache: "no-store",
      redirect: "error",
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    if (response.ok) return await response.json();
    // What a proxy in between has to say is a page of its own.
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
