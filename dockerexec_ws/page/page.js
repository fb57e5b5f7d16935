/** The document: its parts are made here and joined to the application (app.js), which decides what happens. */

import { App } from "./app.js";
import { element, on } from "./dom.js";
import { FindForm } from "./find.js";
import { CommandForm } from "./form.js";
import { FullScreen } from "./full_screen.js";
import { LinkWarning } from "./link_warning.js";
import { quote, showable } from "./shell_words.js";
import { TerminalView } from "./terminal.js";
import { TabTitle } from "./title.js";
import { Tools } from "./toolbar.js";
import { TouchKeys } from "./touch_keys.js";

const BASE = new URL("..", import.meta.url); // of the server's path, with a slash at its end
const BELL_TIME = 200; // ms

const title = new TabTitle();
const form = new CommandForm(() => app.refreshContainers());
const link = new LinkWarning(element("connect"));
const keys = new TouchKeys(
  element("keys"),
  (data) => {
    app.type(data);
    terminal.focus();
  },
  () => terminal.applicationCursor,
);
const terminal = new TerminalView(element("terminal"), {
  input: (data) => app.type(typeof data === "string" ? keys.apply(data) : data),
  resized: (size) => app.resize(size),
  titled: (text) => title.program(text),
  rang() {
    title.bell();
    document.body.classList.add("bell");
    setTimeout(() => document.body.classList.remove("bell"), BELL_TIME);
  },
  found: (index, count) => find.showCount(index, count),
  copy: () => tools.copy(terminal.selection),
  find: () => find.open(),
  leave: () => element(app.hasSession ? "disconnect" : "connect").focus(),
});
const find = new FindForm(terminal);
const tools = new Tools(terminal, say);
new FullScreen(say, () => terminal.focus());
const app = new App({ form, link, terminal, title, show }, BASE, document.documentElement.dataset.token);

/** @param {string} text for the status */
function say(text) {
  element("status").textContent = text;
}

/**
 * @param {import("./states.js").Look} look
 * @param {boolean} readOnly whether sessions are output only
 * @param {string} [text] for the status
 */
function show(look, readOnly, text) {
  document.body.dataset.state = look.mark;
  if (text !== undefined) say(text);
  element("connect").hidden = look.hasSession;
  element("disconnect").hidden = !look.hasSession;
  if (look.hasSession) {
    element("connect").textContent = "Reconnect";
    element("welcome").hidden = true;
  }
  element("keys").hidden = !look.showsKeys || readOnly;
  element("paste").disabled = element("keys").hidden;
  form.setEnabled(!look.hasSession);
  element("token-form").hidden = !look.asksToken;
  if (look.asksToken) element("token").focus();
}

/** Keep the page above a touch keyboard, which would cover its lower part. */
function fitViewport() {
  const viewport = window.visualViewport;
  // The user has zoomed in, and wants to see only a part of the page.
  if (!viewport || viewport.scale > 1) return;
  document.documentElement.style.setProperty("--height", `${viewport.height}px`);
  window.scrollTo(0, 0);
}

/** Fill the form in with what the page's address asks for. */
function followLink() {
  // Names of containers need no quoting in an address.
  const [, container = ""] = /\/([\w.-]+)$/.exec(location.pathname.slice(BASE.pathname.length - 1)) ?? [];
  const query = new URLSearchParams(location.search);
  if (!form.fillFromLink(query, container)) return;
  link.warn(showable(quote([...query.getAll("env"), ...query.getAll("command")])));
}

on("command-form", "submit", () => app.connect());
element("command-form").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  // The key may have been held down since before this page was shown.
  if (event.key === "Enter" && event.repeat) event.preventDefault();
});
on("disconnect", "click", () => app.disconnect());
on("token-form", "submit", () => {
  const token = element("token").value.trim();
  element("token").value = "";
  app.useToken(token);
});
window.addEventListener("beforeunload", (event) => {
  // Ctrl+W deletes a word in a shell. In a browser it would end the session.
  if (app.hasSession) event.preventDefault();
});
window.visualViewport?.addEventListener("resize", fitViewport);

element("unstarted").remove();
element("connect").disabled = false; // until now the browser itself would have submitted the form
fitViewport();
followLink();
app.start();
