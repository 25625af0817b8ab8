// Any category in a few letters. Prepared once per list of categories; a key press over 1,000
// names then is a loop over strings that are already folded.

const TIERS = { exact: 5, start: 4, word: 3, initials: 3, inside: 2, scattered: 1 };

/** Lower case without accents, so that "creme" finds "Crème". */
export function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * Fold the names once.
 * @param {{id: number, name: string}[]} categories
 */
export function prepare(categories) {
  return categories.map(({ id, name }, order) => {
    const folded = fold(name);
    const words = folded.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
    return { id, name, order, folded, words, initials: words.map((word) => word[0]).join("") };
  });
}

/** How well a folded query fits a prepared name; 0 if not at all. */
export function fit(entry, query) {
  if (entry.folded === query) return TIERS.exact;
  if (entry.folded.startsWith(query)) return TIERS.start;
  if (entry.words.some((word) => word.startsWith(query))) return TIERS.word;
  if (query.length > 1 && entry.initials.startsWith(query)) return TIERS.initials;
  if (wordByWord(entry.words, query)) return TIERS.initials;
  if (entry.folded.includes(query)) return TIERS.inside;
  return query.length > 2 && scattered(entry.folded, query) ? TIERS.scattered : 0;
}

/** "dta" fits "dining table": beginnings of words, in order. */
function wordByWord(words, query) {
  if (words.length < 2 || query.length < 2) return false;
  let from = 0;
  for (const word of words) {
    let taken = 0;
    while (taken < word.length && from < query.length && word[taken] === query[from]) {
      taken += 1;
      from += 1;
    }
    if (from === query.length) return true;
    if (!taken) return false;
  }
  return false;
}

/** All letters in order, beginning with the first: "fk" … "frk" fits "fork". */
function scattered(name, query) {
  if (name[0] !== query[0]) return false;
  let from = 0;
  for (const letter of name) {
    if (letter === query[from]) from += 1;
    if (from === query.length) return true;
  }
  return false;
}

/**
 * The digits that choose a match: all up to `count`, unless a name goes on with one.
 *
 * @param {object[]} entries from `prepare`
 * @param {string} text as typed
 * @param {number} count how many matches are shown
 * @returns {number[]}
 */
export function digitsFor(entries, text, count) {
  if (!text.trim()) return [];
  return Array.from({ length: count }, (_, i) => i + 1).filter((digit) => {
    const query = fold((text + digit).trim());
    return !entries.some((entry) => entry.folded.includes(digit) && fit(entry, query));
  });
}

/**
 * Best matches first: how well the letters fit, then undecided before decided, then what the
 * model holds likely here, then what this person typed before, then the workspace's order.
 *
 * @param {object[]} entries from `prepare`
 * @param {string} text as typed
 * @param {{probability: Map, decided: Map, uses: Map}} context by category id
 */
export function match(entries, text, { probability, decided, uses }, limit = 8) {
  const query = fold(text.trim());
  const found = [];
  for (const entry of entries) {
    const tier = query ? fit(entry, query) : 1;
    if (!tier) continue;
    // A likely category beats a slightly better fit, but not an exact name.
    const rank =
      (tier === TIERS.exact ? 10 : tier) +
      1.5 * (probability.get(entry.id) ?? 0) +
      Math.min(1, 0.25 * Math.log2(1 + (uses.get(entry.id) ?? 0))) -
      (decided.has(entry.id) ? 1 : 0);
    found.push({ entry, rank });
  }
  found.sort((a, b) => b.rank - a.rank || a.entry.order - b.entry.order);
  return found.slice(0, limit).map(({ entry }) => ({ id: entry.id, name: entry.name }));
}
