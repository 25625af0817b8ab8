// A filter as the page keeps it, as the server wants it, in words, and in the address.
//
// `{match: "all" | "any", conditions: [{kind, …, not}]}`; conditions look as those of the API but
// for days, which are local ("2026-11-23", both ends included) until they are sent.

import { percent, plural, verdict } from "../words.js";

export const NO_FILTER = Object.freeze({ match: "all", conditions: Object.freeze([]) });
export const BY_ADDED = Object.freeze({ by: "added", descending: false, category: null, image: null });

const DAY_KINDS = new Set(["decided", "added"]);
const KINDS = new Set([
  "label",
  "known",
  "decided",
  "score",
  "added",
  "name",
  "flagged",
  "similar",
  "images",
]);

/** The API's condition; null for all pictures. */
export function toWhere({ match, conditions }) {
  if (!conditions.length) return null;
  const of = conditions.map((condition) => {
    const { not, ...plain } = condition;
    if (plain.kind === "similar") delete plain.name; // only for its chip
    const sent = DAY_KINDS.has(plain.kind) ? withTimes(plain) : plain;
    return not ? { kind: "not", of: sent } : sent;
  });
  return of.length === 1 ? of[0] : { kind: match, of };
}

function withTimes({ from, to, ...rest }) {
  return { ...rest, since: from ? startOf(from, 0) : null, until: to ? startOf(to, 1) : null };
}

/** Begin of a local day, or of the day after, as an instant. */
function startOf(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}

/**
 * A condition in plain words, for its chip.
 * @param {{category: (id: number) => string, user: (id: number) => string,
 *   source: (source: string) => string}} names
 */
export function inWords(condition, names) {
  const words = WORDS[condition.kind](condition, names);
  return condition.not ? `not: ${words}` : words;
}

const WORDS = {
  label: ({ category, states }, names) => `${names.category(category)} ${states.join(" or ")}`,
  known: ({ least = null, most = null }) => {
    if (most === 0) return "untouched";
    if (least !== null && least === most) return `exactly ${plural(least, "known cell")}`;
    if (least === null) return `at most ${plural(most ?? 0, "known cell")}`;
    return most === null ? `${least} or more known cells` : `${least} to ${most} known cells`;
  },
  score: ({ category, least, most }, names) =>
    `${names.category(category)} ${percent(least)} to ${percent(most)} likely`,
  decided: ({ category = null, users, sources, from, to }, names) =>
    [
      category === null ? "decided" : `${names.category(category)} decided`,
      users ? `by ${users.map(names.user).join(" or ")}` : "",
      sources ? `on ${sources.map(names.source).join(" or ")}` : "",
      days(from, to),
    ]
      .filter(Boolean)
      .join(" "),
  added: ({ from, to }) => `added ${days(from, to) || "at any time"}`,
  name: ({ text }) => `name contains “${text}”`,
  flagged: () => "flagged",
  similar: ({ name, image }) => `similar to ${name ?? `picture ${image}`}`,
  images: ({ images }) => plural(images.length, "chosen picture"),
};

function days(from, to) {
  if (from && from === to) return `on ${dayName(from)}`;
  return [from ? `from ${dayName(from)}` : "", to ? `until ${dayName(to)}` : ""]
    .filter(Boolean)
    .join(" ");
}

function dayName(day) {
  const [year, month, date] = day.split("-").map(Number);
  const options = { day: "numeric", month: "short", year: "numeric" };
  return new Date(year, month - 1, date).toLocaleDateString(undefined, options);
}

/** How a list is sorted, in words. */
export function sortInWords({ by, descending, category, image }, names) {
  const words = {
    added: descending ? "newest first" : "oldest first",
    name: descending ? "by name, Z to A" : "by name",
    known: descending ? "most known first" : "least known first",
    changed: descending ? "last changed first" : "longest unchanged first",
    uncertainty: descending ? "most uncertain first" : "most certain first",
  };
  if (by === "probability") {
    return `${names.category(category)} ${descending ? "most" : "least"} likely first`;
  }
  if (by === "similarity") return `most similar to picture ${image} first`;
  return words[by];
}

/** What is kept in the address and in storage. */
export function encode({ filter, sort, show, size }) {
  return JSON.stringify({ match: filter.match, where: filter.conditions, sort, show, size });
}

/** What `encode` gave; null where it is something else. Whoever wrote it, it is checked. */
export function decode(text) {
  let kept;
  try {
    kept = JSON.parse(text);
  } catch {
    return null;
  }
  if (!kept || !Array.isArray(kept.where)) return null;
  const conditions = kept.where.filter((c) => c && KINDS.has(c.kind) && wellFormed(c)).slice(0, 50);
  return {
    filter: { match: kept.match === "any" ? "any" : "all", conditions },
    sort: { ...BY_ADDED, ...(typeof kept.sort?.by === "string" ? kept.sort : {}) },
    show: Number.isInteger(kept.show) ? kept.show : null,
    size: typeof kept.size === "string" ? kept.size : "medium",
  };
}

function wellFormed(c) {
  const id = (value) => Number.isInteger(value);
  const day = (value) => value === undefined || value === null || /^\d{4}-\d\d-\d\d$/.test(value);
  const share = (value) => typeof value === "number" && value >= 0 && value <= 1;
  const list = (value, of) => Array.isArray(value) && value.length > 0 && value.every(of);
  const maybe = (value, of) => value === undefined || value === null || of(value);
  const checks = {
    label: () => id(c.category) && list(c.states, (s) => [-1, 0, 1].map(verdict).includes(s)),
    known: () => maybe(c.least, id) && maybe(c.most, id) && (id(c.least) || id(c.most)),
    score: () => id(c.category) && share(c.least) && share(c.most),
    decided: () =>
      maybe(c.category, id) &&
      maybe(c.users, (v) => list(v, id)) &&
      maybe(c.sources, (v) => list(v, (s) => typeof s === "string")) &&
      day(c.from) &&
      day(c.to),
    added: () => day(c.from) && day(c.to),
    name: () => typeof c.text === "string",
    flagged: () => true,
    similar: () => id(c.image),
    images: () => list(c.images, id),
  };
  return checks[c.kind]();
}

/** The category that tiles should show: the one that filter or order speak of, if there is one. */
export function categoryMeant({ conditions }, sort) {
  const named = conditions.find((condition) => Number.isInteger(condition.category));
  return sort.by === "probability" ? sort.category : (named?.category ?? null);
}
