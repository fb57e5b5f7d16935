/** Access to the elements of index.html. */

/**
 * Return the element with this id.
 * @param {string} id
 * @returns {any} an element that index.html has
 */
export const element = (id) => document.getElementById(id);

/**
 * Do *action* at an event of an element, in place of what the browser would do.
 * @param {string} id
 * @param {string} event
 * @param {() => void} action
 */
export function on(id, event, action) {
  element(id).addEventListener(event, (/** @type {Event} */ happened) => {
    happened.preventDefault();
    action();
  });
}
