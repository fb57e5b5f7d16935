/** The page: its parts, and what happens from one state to the next. */

import { CommandForm } from "./form.js";
import { LineInput } from "./line_input.js";
import { OutputQueue } from "./output.js";
import { askPolicy, isRefusal } from "./policy.js";
import { ExecSession } from "./session.js";
import { describeEnding, describeUnopened } from "./status.js";
import { TerminalView } from "./terminal.js";
import { TabTitle } from "./title.js";
import { TouchKeys } from "./touch_keys.js";
import { quote, showable } from "./words.js";

/**
 * @param {string} id
 * @returns {any} an element that index.html has
 */
const element = (id) => document.getElementById(id);

const BASE = new URL("..", import.meta.url); // of the server's path, with a slash at its end
const BELL_TIME = 200; // ms
const COPIED_TIME = 1000; // ms
const LOOK_TIME = 1000; // ms
const tokenUse = document.documentElement.dataset.token; // required, optional or none

let advice = ""; // to be careful, if there is reason to
/** @type {ReturnType<typeof setTimeout> | undefined} */
let looking;
let token = ""; // here, and nowhere else
/** @type {import("./policy.js").Policy | undefined} */
let policy;
/** @type {ExecSession | undefined} */
let session;
/** @type {LineInput | undefined} without a tty */
let lineInput;

const title = new TabTitle();
const form = new CommandForm();
const keys = new TouchKeys(element("keys"), press, () => terminal.applicationCursor);
const terminal = new TerminalView(element("terminal"), {
  input: (data) => type(typeof data === "string" ? keys.apply(data) : data),
  resized: (size) => session?.resize(size),
  titled: (text) => title.program(text),
  rang() {
    title.bell();
    document.body.classList.add("bell");
    setTimeout(() => document.body.classList.remove("bell"), BELL_TIME);
  },
  found(index, count) {
    element("find-count").textContent = count === 0 ? "none" : index < 0 ? `${count}+` : `${index + 1} of ${count}`;
  },
  copy: () => copy(terminal.selection),
  find: openFind,
  leave: () => element(session ? "disconnect" : "connect").focus(),
});

/**
 * @param {import("./status.js").State} state
 * @param {string} text
 */
function show(state, text) {
  document.body.dataset.state = state;
  element("status").textContent = text;
  const active = state === "connecting" || state === "running";
  element("connect").hidden = active;
  element("disconnect").hidden = !active;
  element("keys").hidden = state !== "running" || Boolean(policy?.read_only);
  element("paste").disabled = element("keys").hidden;
  form.setEnabled(!active);
}

/** @param {string | Uint8Array} data */
function type(data) {
  if (!session || policy?.read_only) return;
  if (lineInput && typeof data === "string") lineInput.type(data);
  else if (!lineInput) session.write(data);
}

/** @param {string} data of one of the keys below the terminal */
function press(data) {
  type(data);
  terminal.focus();
}

/** Start a session: at the user's click or Enter in the form, and at nothing else. */
function connect() {
  if (session) return;
  advice = "";
  if (tokenUse === "required" && !token) {
    askToken("This server asks for a token.");
    return;
  }
  const request = form.request();
  if (!request) return;
  const tty = Boolean(request.tty);
  element("welcome").hidden = true;
  terminal.begin(tty, Boolean(policy?.read_only));
  title.program("");
  const what = quote(request.command) + (form.container ? ` in ${form.container}` : "");
  show("connecting", `Connecting: ${what}`);
  const url = new URL(encodeURIComponent(form.container), BASE);
  if (!form.container && url.pathname !== "/") url.pathname = url.pathname.replace(/\/$/, "");
  const output = new OutputQueue(
    (data, done) => terminal.write(data, done),
    (length) => current.consumed(length),
  );
  const running = `Running${policy?.read_only ? ", output only" : ""}: ${what}`;
  const current = new ExecSession(
    url,
    { ...request, token, size: terminal.size },
    {
      started: () => show("running", running),
      output: (data, stderr) => output.put(data, stderr),
      notice: (text) => show("running", `Running, but: ${text}`),
      ended: (ending) => ended(ending, output),
    },
  );
  session = current;
  lineInput = tty ? undefined : lineInputOf(current);
  terminal.focus();
}

/**
 * @param {ExecSession} current
 * @returns {LineInput}
 */
function lineInputOf(current) {
  return new LineInput({
    echo: (text) => terminal.write(text),
    eraseLast: () => terminal.eraseLast(),
    send: (text) => current.write(text),
    end: () => current.endInput(),
    interrupt: () => current.close(),
  });
}

/**
 * @param {import("./session.js").Ending} ending
 * @param {OutputQueue} output
 */
async function ended(ending, output) {
  if (ending.reason === "closed") output.drop(); // who left wants no more of it
  // What it wrote comes before the word about its end, and before all that is of the next session.
  await output.done();
  session = undefined;
  lineInput = undefined;
  let { state, text } = describeEnding(ending);
  element("connect").textContent = "Reconnect";
  show(state, text);
  if (ending.reason === "unopened") {
    const answer = await askPolicy(token);
    if (session) return; // the user was faster
    text = describeUnopened(answer);
    show(state, text);
    if (isRefusal(answer) && answer.status === 401 && tokenUse !== "none") askToken(text);
  }
  terminal.finish(text);
}

/** @param {string} text why */
function askToken(text) {
  const again = token !== "";
  token = "";
  show(again ? "failed" : "idle", text);
  element("token-form").hidden = false;
  element("token").focus();
}

async function loadPolicy() {
  const answer = await askPolicy(token);
  if (session) return;
  if (!isRefusal(answer)) {
    policy = answer;
    form.applyPolicy(policy);
    element("token-form").hidden = true;
    form.showMore();
    show("idle", ["Not connected.", policy.identity ? `You are ${policy.identity}.` : "", advice].join(" ").trim());
    // Enter, meant for something else, must not start what a link filled in.
    if (!advice) form.focus();
  } else if (answer.status === 401 && tokenUse !== "none") {
    askToken(token ? `The token was not accepted: ${answer.text}` : "This server asks for a token.");
  } else {
    form.showMore();
    show("failed", `Not connected: ${answer.text}`);
  }
}

/** @param {string} text */
async function copy(text) {
  if (!text) return;
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    // Without TLS, or leave, there is only the older way.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  element("copy").textContent = done ? "Copied" : "Not copied";
  setTimeout(() => {
    element("copy").textContent = "Copy";
  }, COPIED_TIME);
  terminal.focus();
}

async function paste() {
  terminal.focus();
  try {
    terminal.paste(await navigator.clipboard.readText());
  } catch {
    element("status").textContent = "The browser does not let this page paste: press Ctrl+Shift+V.";
  }
}

function openFind() {
  element("find").hidden = false;
  element("find-text").select();
  element("find-text").focus();
}

function closeFind() {
  element("find").hidden = true;
  terminal.endFind();
  terminal.focus();
}

/** @param {"next" | "previous" | "same"} which */
function find(which) {
  terminal.find(element("find-text").value, which);
}

/**
 * Have what a link filled in looked at: a click that was meant for what was on the screen before, as the second one of
 * a double click on a window that went away at the first, starts nothing.
 */
function holdConnect() {
  if (!advice) return;
  clearTimeout(looking);
  element("connect").disabled = true;
  looking = setTimeout(() => {
    element("connect").disabled = false;
  }, LOOK_TIME);
}

/** A touch keyboard lies over the page: what is below it is not seen. */
function fitViewport() {
  const viewport = window.visualViewport;
  // Zoomed in, a part of the page is seen, and that is what is wanted.
  if (!viewport || viewport.scale > 1) return;
  document.documentElement.style.setProperty("--height", `${viewport.height}px`);
  window.scrollTo(0, 0);
}

/**
 * @param {string} id
 * @param {string} event
 * @param {() => void} action
 */
function on(id, event, action) {
  element(id).addEventListener(event, (/** @type {Event} */ happened) => {
    happened.preventDefault();
    action();
  });
}

on("command-form", "submit", connect);
element("command-form").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key === "Enter" && event.repeat) event.preventDefault(); // held down since before this page was there
});
window.addEventListener("focus", holdConnect);
on("disconnect", "click", () => session?.close());
on("token-form", "submit", () => {
  token = element("token").value.trim();
  element("token").value = "";
  loadPolicy();
});
on("find-open", "click", openFind);
on("find-form", "submit", () => find("next"));
element("find-text").addEventListener("input", () => find("same"));
on("find-previous", "click", () => find("previous"));
on("find-close", "click", closeFind);
element("find-form").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key === "Escape") closeFind();
  if (event.key !== "Enter" || !event.shiftKey) return;
  event.preventDefault();
  find("previous");
});
on("copy", "click", () => copy(terminal.selection || terminal.visibleText));
on("paste", "click", paste);
on("smaller", "click", () => terminal.changeFontSize(-1));
on("larger", "click", () => terminal.changeFontSize(1));
on("reader", "click", () => {
  const pressed = element("reader").getAttribute("aria-pressed") !== "true";
  element("reader").setAttribute("aria-pressed", String(pressed));
  terminal.setScreenReader(pressed);
});
window.addEventListener("beforeunload", (event) => {
  if (session) event.preventDefault(); // Ctrl+W is a shell's key, and would end it
});
window.visualViewport?.addEventListener("resize", fitViewport);
fitViewport();

// The names that containers have need no quoting in an address.
const [, container = ""] = /\/([\w.-]+)$/.exec(location.pathname.slice(BASE.pathname.length - 1)) ?? [];
const query = new URLSearchParams(location.search);
if (form.fillFromLink(query, container)) {
  // All of it: the fields may show no more than a harmless beginning.
  const words = showable(quote([...query.getAll("env"), ...query.getAll("command")]));
  advice = `A link filled in what is to run: look at it before you connect. ${words}`.trim();
  holdConnect();
}
if (tokenUse === "required") askToken("Not connected. This server asks for a token.");
else loadPolicy();
