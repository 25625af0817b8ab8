import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { match, prepare } from "../../../annotator/web/static/js/focus/typeahead.js";

// The thousand names of the ImageNet classes: many long ones, many that begin alike.
const NAMES = JSON.parse(readFileSync(new URL("thousand_names.json", import.meta.url)));
const ENTRIES = prepare(NAMES.map((name, i) => ({ id: i + 1, name })));
const NOTHING = { probability: new Map(), decided: new Map(), uses: new Map() };

/** What a person would type: the beginning of the name or of its words, or one letter of each. */
function attempts({ folded, words, initials }) {
  const typed = [folded, initials, ...words];
  for (let i = 0; i < words.length; i++) {
    for (let j = i + 1; j < words.length; j++) {
      typed.push(words[i][0] + words[j], words[i].slice(0, 2) + words[j]);
    }
  }
  return [...new Set(typed.flatMap((text) => [1, 2, 3].map((n) => text.slice(0, n))))];
}

test("of a thousand categories nearly all are listed by their first three letters", () => {
  const listed = ENTRIES.filter((entry) =>
    match(ENTRIES, entry.folded.slice(0, 3), NOTHING).some(({ id }) => id === entry.id),
  );
  assert.ok(listed.length >= 990, `${listed.length} are listed`);
});

test("of a thousand categories most are first after at most three letters", () => {
  const first = ENTRIES.filter((entry) =>
    attempts(entry).some((text) => match(ENTRIES, text, NOTHING)[0]?.id === entry.id),
  );
  assert.ok(first.length >= 750, `${first.length} are first`);
});

test("a likely category needs fewer letters", () => {
  const id = NAMES.indexOf("tennis ball") + 1;
  const likely = { ...NOTHING, probability: new Map([[id, 0.9]]) };
  assert.equal(match(ENTRIES, "te", likely)[0].id, id);
});
