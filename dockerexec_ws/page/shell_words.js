/** Splits a command line into words and quotes words, as a POSIX shell does, but without any expansion. */

/** The command line ends within quotes or after a backslash. */
export class UnfinishedError extends Error {
  constructor() {
    super("The command is not complete. Close its quotes, or remove the backslash at its end.");
  }
}

/**
 * @param {string} line
 * @returns {string[]}
 * @throws {UnfinishedError}
 */
export function split(line) {
  /** @type {string[]} */
  const words = [];
  // A piece is single-quoted, double-quoted, escaped or plain. Pieces without a space between them form one word.
  const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/sy;
  let inWord = false;
  while (piece.lastIndex < line.length) {
    const match = piece.exec(line);
    if (!match) throw new UnfinishedError();
    const [all, single, double, escaped, plain] = match;
    if (single === undefined && double === undefined && escaped === undefined && plain === undefined) {
      inWord = false;
      continue;
    }
    if (escaped === "\n") continue; // a continued line
    const text = double?.replace(/\\(\n|[$`"\\])/g, (_, character) => (character === "\n" ? "" : character));
    const part = single ?? text ?? escaped ?? plain ?? all;
    if (inWord) words.push(words.pop() + part);
    else words.push(part);
    inWord = true;
  }
  return words;
}

/**
 * Whether a shell would do something else with the line than `split`: it has an operator, a variable or a pattern.
 * @param {string} line
 * @returns {boolean}
 */
export function hasShellSyntax(line) {
  const bare = line.replace(/'[^']*'|"((?:[^"\\]|\\.)*)"|\\./gs, (_, double) =>
    /[$`]/.test(double?.replace(/\\./gs, "") ?? "") ? "$" : "",
  );
  return /[|;&<>$*`]/.test(bare);
}

/**
 * Return a line that `split`, or a shell, splits into these words.
 * @param {string[]} words
 * @returns {string}
 */
export function quote(words) {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

/**
 * Replace invisible characters, and those that change the direction of text, by their codes.
 * @param {string} line
 * @returns {string}
 */
export function showable(line) {
  return line.replace(/[\p{C}\p{Z}]/gu, (character) =>
    character === " " ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
