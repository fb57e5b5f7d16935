/** The form for the command. The policy and a link can fill it in; only the user can start a session with it. */

import { element as page } from "./dom.js";
import { hasShellSyntax, quote, showable, split, UnfinishedError } from "./shell_words.js";

const REFRESH_TIME = 5000; // ms

/**
 * @param {string} selector
 * @returns {any} an element that index.html has
 */
const element = (selector) => document.querySelector(`#command-form ${selector}`);

export class CommandForm {
  #container = element("input[name=container]");
  #line = element("input[name=command]");
  #choice = element("select[name=command]");
  #byShell = element("[name=shell]"); // whether a shell reads the line
  #tty = element("[name=tty]");
  #user = element("[name=user]");
  #workdir = element("[name=workdir]");
  #env = element("[name=env]");
  /** @type {string[] | undefined} */
  #linkedCommand;
  #hasPolicy = false;
  /** @type {string[] | null} what runs if the line is empty */
  #shell = null;

  /** @param {() => void} refresh called while the user looks at the containers, so that new ones are offered */
  constructor(refresh) {
    /** @type {ReturnType<typeof setInterval>} */
    let refreshing;
    this.#container.addEventListener("focus", () => {
      refresh();
      refreshing = setInterval(refresh, REFRESH_TIME);
    });
    this.#container.addEventListener("blur", () => clearInterval(refreshing));
    this.#line.addEventListener("input", () => {
      this.#line.setCustomValidity("");
      this.#showWords();
    });
    this.#byShell.addEventListener("change", () => this.#showWords());
  }

  /**
   * Fill the form in from the page's address. Nothing is started.
   * @param {URLSearchParams} query
   * @param {string} container "" for none
   * @returns {boolean} whether the address filled anything in
   */
  fillFromLink(query, container) {
    const command = query.getAll("command");
    if (command.length > 0) {
      this.#linkedCommand = command;
      this.#line.value = quote(command);
    }
    const tty = query.get("tty");
    if (tty !== null) this.#tty.checked = tty.toLowerCase() === "true";
    this.#user.value = query.get("user") ?? "";
    this.#workdir.value = query.get("workdir") ?? "";
    this.#env.value = query.getAll("env").join("\n");
    this.#container.value = container;
    return this.#hasMore() || command.length > 0 || tty !== null;
  }

  /** Unfold the further fields if one is filled in: the user must see all of what would run. */
  showMore() {
    element("#more").open = this.#hasMore();
  }

  /** @returns {boolean} whether a further field is filled in */
  #hasMore() {
    return [this.#user, this.#workdir, this.#env].some(({ value }) => value !== "");
  }

  /** @param {import("./policy.js").Policy} policy */
  applyPolicy(policy) {
    element("#container-field").hidden = this.#container.disabled = !policy.chooses_container;
    this.offerContainers(policy.containers);
    // With more of them the field stays empty, because a browser offers only what begins like the field's content.
    const [only, ...others] = policy.containers;
    if (!this.#container.value && only && others.length === 0) this.#container.value = only.name;
    this.#tty.disabled = !policy.tty;
    if (!policy.tty) this.#tty.checked = false;
    const first = this.#linkedCommand ?? policy.commands[0];
    if (policy.any_command) {
      if (!this.#hasPolicy && !this.#line.value && first) this.#line.value = quote(first);
    } else {
      const { value } = this.#choice;
      // Show the link's command even if the policy does not list it. The server refuses it.
      const lines = new Set([...(this.#linkedCommand ? [this.#linkedCommand] : []), ...policy.commands].map(quote));
      this.#choice.replaceChildren(...Array.from(lines, (line) => new Option(line, line)));
      if (lines.has(value)) this.#choice.value = value;
    }
    this.#shell = policy.any_command ? policy.shell : null;
    this.#line.required = !this.#shell;
    if (this.#shell) {
      this.#line.placeholder = "Shell, or another command";
      page("how").textContent = "Press Connect for a shell, or enter another command first.";
    }
    this.#showWords();
    this.#line.hidden = this.#line.disabled = !policy.any_command;
    this.#choice.hidden = this.#choice.disabled = policy.any_command;
    this.#hasPolicy = true;
  }

  /** @param {import("./policy.js").Offer[]} containers */
  offerContainers(containers) {
    const options = containers.map(({ name, service }) => new Option(service && `service ${service}`, name));
    element("#containers").replaceChildren(...options);
  }

  /** @returns {string} the chosen container; "" for the server's only one */
  get container() {
    return this.#container.disabled ? "" : this.#container.value.trim();
  }

  /**
   * Return what to run. If something is missing, tell the user and return undefined.
   * @returns {import("./opening.js").ExecRequest | undefined}
   */
  request() {
    /** @type {string[]} */
    let command;
    try {
      command = this.#words();
    } catch (error) {
      if (!(error instanceof UnfinishedError)) throw error;
      this.#line.setCustomValidity(error.message);
      this.#line.reportValidity();
      return undefined;
    }
    if (command.length === 0) {
      this.#line.setCustomValidity("Enter a command.");
      this.#line.reportValidity();
      return undefined;
    }
    return {
      command,
      tty: this.#tty.checked,
      user: this.#user.value.trim(),
      workdir: this.#workdir.value.trim(),
      env: this.#env.value.split("\n").filter((/** @type {string} */ line) => line.trim() !== ""),
    };
  }

  /**
   * Describe what `request` returned, for the status.
   * @param {import("./opening.js").ExecRequest} request
   * @returns {string}
   */
  describe({ command }) {
    return (command === this.#shell ? "Shell" : quote(command)) + (this.container ? ` in ${this.container}` : "");
  }

  /**
   * @returns {string[]}
   * @throws {UnfinishedError}
   */
  #words() {
    if (!this.#choice.disabled) return split(this.#choice.value);
    const line = this.#line.value.trim();
    const words = split(line);
    if (words.length === 0) return this.#shell ?? [];
    return this.#shell && this.#byShell.checked && hasShellSyntax(line) ? ["sh", "-c", line] : words;
  }

  /** If only a shell understands the line, offer to have one run it, and show what would run. */
  #showWords() {
    const offer = this.#byShell.closest("label");
    try {
      offer.hidden = !this.#shell || !hasShellSyntax(this.#line.value);
      if (!offer.hidden) offer.querySelector("code").textContent = showable(quote(this.#words()));
    } catch (error) {
      if (!(error instanceof UnfinishedError)) throw error;
      offer.hidden = true;
    }
  }

  /** @param {boolean} on false while a session runs */
  setEnabled(on) {
    element("#more").open &&= on;
    for (const field of [this.#line, this.#choice, this.#container, this.#user, this.#workdir, this.#env]) {
      field.readOnly = !on;
    }
    this.#tty.closest("label").inert = !on;
    this.#byShell.closest("label").inert = !on;
    this.#choice.inert = !on;
  }

  focus() {
    if (!this.#container.disabled && !this.#container.value) this.#container.focus();
    else (this.#choice.disabled ? this.#line : this.#choice).focus();
  }
}
