// Building and updating elements. Text goes in through textContent, never as markup: names of
// categories, files and people are written by others.

/**
 * An element.
 * @param {string} tag "div", or "div.some.classes"
 * @param {object} props attributes; `on…` are listeners, `text` is text, null leaves one out
 * @param {...(Node|string|null)} children
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else attr(element, key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set an attribute, or text, only where it differs. */
export function attr(element, key, value) {
  if (key === "text") {
    const text = String(value ?? "");
    if (element.textContent !== text) element.textContent = text;
  } else if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(key)) element.removeAttribute(key);
  } else {
    const text = value === true ? "" : String(value);
    if (element.getAttribute(key) !== text) element.setAttribute(key, text);
  }
}

/** Several attributes at once. */
export function set(element, props) {
  for (const [key, value] of Object.entries(props)) attr(element, key, value);
  return element;
}

/**
 * Make the children of `parent` those of `items`, keeping elements by key, so that focus, loaded
 * pictures and running transitions stay.
 */
export function keyed(parent, items, keyOf, create, patch) {
  const old = parent.__keyed ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const element = old.get(key) ?? create(item);
    patch(element, item);
    now.set(key, element);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of old) if (!now.has(key)) element.remove();
  parent.__keyed = now;
}
