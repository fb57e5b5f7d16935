/** A command line and its words, as a POSIX shell splits and quotes them; nothing is expanded. */

/** A command line that ends within quotes or after a backslash. */
export class UnfinishedError extends Error {}

/**
 * @param {string} line
 * @returns {string[]}
 * @throws {UnfinishedError}
 */
export function split(line) {
  /** @type {string[]} */
  const words = [];
  // Single-quoted, double-quoted, escaped, plain: each piece belongs to the word before it if there is no space between.
  const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/sy;
  let inWord = false;
  while (piece.lastIndex < line.length) {
    const match = piece.exec(line);
    if (!match) throw new UnfinishedError("The command ends within quotes or after a backslash.");
    const [all, single, double, escaped, plain] = match;
    if (single === undefined && double === undefined && escaped === undefined && plain === undefined) {
      inWord = false;
      continue;
    }
    if (escaped === "\n") continue; // a line that goes on
    const text = double?.replace(/\\(\n|[$`"\\])/g, (_, character) => (character === "\n" ? "" : character));
    const part = single ?? text ?? escaped ?? plain ?? all;
    if (inWord) words.push(words.pop() + part);
    else words.push(part);
    inWord = true;
  }
  return words;
}

/**
 * Return a line that `split`, and a shell, makes those words of.
 * @param {string[]} words
 * @returns {string}
 */
export function quote(words) {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

/**
 * Return *line* with nothing in it that is invisible, or that changes the order of what is around it.
 * @param {string} line
 * @returns {string}
 */
export function showable(line) {
  return line.replace(/[\p{C}\p{Z}]/gu, (character) =>
    character === " " ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
