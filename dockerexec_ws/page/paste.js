/** What may be pasted into a terminal. */

/**
 * Pasted text must not end its own bracketed paste: a shell would run what follows as if it were typed. An escape would
 * end it, and so do the characters that the terminal in the container takes for signals.
 * @param {string} text
 * @returns {string} with a visible character for each control character that is neither a tab nor a line end
 */
export function withoutControls(text) {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    if ("\t\n\r".includes(character)) return character;
    return character < " " ? String.fromCharCode(0x2400 + character.charCodeAt(0)) : "\ufffd";
  });
}
