/** Keys that an input method claims without composing text. xterm.js 6.0 drops them (its issue 6067). */

const CLAIMED = 229; // the keyCode of a key that an input method has claimed

/** @type {Record<string, string>} */
const CONTROLS = { BracketLeft: "\x1b", Backslash: "\x1c", BracketRight: "\x1d", Space: "\0" };

/**
 * Return the control character that a claimed key stands for.
 * @param {KeyboardEvent} event
 * @returns {string} "" for any other key, and while text is composed: then the key is the input method's
 */
export function claimedControl(event) {
  if (event.keyCode !== CLAIMED || event.isComposing || event.altKey || event.metaKey || event.shiftKey) return "";
  if (!event.ctrlKey) return event.code === "Escape" ? "\x1b" : "";
  // The key's name is "Process" or a letter of another script, unless the input method is in its Latin mode.
  const letter = /^[a-z]$/i.test(event.key) ? event.key : /^Key([A-Z])$/.exec(event.code)?.[1];
  if (letter) return String.fromCharCode(letter.charCodeAt(0) & 0x1f);
  return CONTROLS[event.code] ?? "";
}
