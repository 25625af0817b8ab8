// What a page tells beside the work: at most one notice of each kind, so that news of one kind never
// takes the place of another's.
//
// "error": something was refused or cannot be done; "model": a new version is ready; "others": what
// somebody else decided here; "info": what a key of this person did that is not to be seen otherwise.

import { attr, h, keyed } from "./dom.js";

const KINDS = ["error", "model", "others", "info"];

/**
 * The notices with one more; it takes the place of an older one of its kind.
 * @param {{kind: string, text: string, n: number, offer: ?number}[]} notices most urgent first
 * @param {?number} offer see history.js
 */
export function noticed(notices, text, kind, offer = null) {
  const n = 1 + Math.max(0, ...notices.map((notice) => notice.n));
  const next = [...without(notices, kind), { kind, text, n, offer }];
  return next.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/** The notices without those of some kinds. */
export function without(notices, ...kinds) {
  return notices.some((one) => kinds.includes(one.kind))
    ? notices.filter((one) => !kinds.includes(one.kind))
    : notices;
}

/**
 * The list on the page. It is there also when empty: screen readers tell only what is added.
 * @param {(one: object) => Node[]} buttons what can be done about a notice
 */
export function makeNotices(buttons = () => []) {
  const element = h("div.notices", {
    role: "status",
    "aria-live": "polite",
    "aria-atomic": "false",
    "aria-label": "News",
  });

  function render(notices) {
    keyed(
      element,
      notices,
      (one) => `${one.kind} ${one.n}`, // said again where the same words come again
      (one) => h("p.notice", { "data-kind": one.kind }, h("span"), ...buttons(one)),
      (paragraph, one) => attr(paragraph.firstChild, "text", one.text),
    );
  }

  return { element, render };
}
