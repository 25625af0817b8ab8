// The Focus page as a pure function: update(state, action) -> [state, effects].
//
// What the server confirmed and what is still on its way are kept apart: `images` holds the
// newest confirmed state of each picture, `pending` the changes that are not acknowledged. What
// the page shows is the one with the other laid over it, so a rejected change takes itself back.
//
// Rows never move under the cursor: the list of a picture is fixed when it opens. Probabilities
// follow each decision in place; a category that rises above its threshold is added at the end
// with a key that a decided row gave back, and does not listen to keys for a moment.

import { percent, plural, verdict } from "../words.js";

export const SLOTS = 9;
/** Milliseconds in which a row that came by itself takes no key, and a picture no "rest absent". */
export const SETTLE_MS = 300;
/** A letter that is also a command becomes a typed letter if another follows within this time. */
export const TYPING_MS = 700;
const KEEP_AHEAD = 5;
const KEEP_UNDO = 500;

/**
 * The state before anything is known.
 * @returns {object} see the comments at each field
 */
export function initialState() {
  return {
    ready: false, // categories and the first page of the queue are here
    categories: [], // [{id, name}] in the workspace's order
    images: new Map(), // image id -> newest confirmed state
    lists: new Map(), // image id -> {rows: [{category, slot, since}], model} fixed at opening
    queue: "uncertain",
    trail: [], // image ids in the order they were opened
    cursor: -1, // place in the trail
    ahead: [], // image ids fetched but not opened
    positions: new Map(), // image id -> its number in the queue
    guests: new Set(), // pictures opened from another page, not by the queue
    total: null, // pictures that are still open in the queue
    ended: false, // the queue has nothing more
    fetching: false,
    asked: 0, // number of the newest request; older answers are dropped
    pending: [], // changes without acknowledgement, oldest first
    done: [], // own changes that Backspace takes back, newest last
    selected: null, // category id
    why: true,
    zoom: false,
    help: false,
    typing: null, // {text, index} while any category can be typed
    shownAt: null, // when the open picture became visible; null while it loads
    failed: new Map(), // picture -> why it cannot be shown
    evidence: new Map(), // "image:category" -> {model, revision, cells}
    uses: new Map(), // category id -> times decided by typing; raises it in the list
    status: null,
    model: null, // id of the model version that `ahead` was computed with
    notice: null, // {text, kind, n}
    said: { text: "", n: 0 }, // for screen readers
    lastLetter: null, // {command, letter, at}
  };
}

/** The picture on screen, as last confirmed; null when there is none. */
export function currentImage(state) {
  const id = state.trail[state.cursor];
  return id === undefined ? null : state.images.get(id) ?? null;
}

/**
 * States of the decided cells of one picture as the page shows them.
 * @returns {Map<number, {state: number, source: string, user: ?string, saved: boolean}>}
 */
export function cellsOf(state, imageId) {
  const cells = new Map();
  for (const known of state.images.get(imageId)?.known ?? []) {
    cells.set(known.category, { ...known, saved: true });
  }
  for (const entry of state.pending) {
    for (const cell of entry.cells) {
      if (cell.image !== imageId) continue;
      cells.delete(cell.category);
      if (cell.state !== 0) {
        cells.set(cell.category, { state: cell.state, source: "focus", user: null, saved: false });
      }
    }
  }
  return cells;
}

/** Present and absent categories of the open picture, in the workspace's order. */
export function knownHere(state) {
  const image = currentImage(state);
  const cells = image ? cellsOf(state, image.id) : new Map();
  const pick = (wanted) =>
    state.categories
      .filter((category) => cells.get(category.id)?.state === wanted)
      .map((category) => ({ ...category, ...cells.get(category.id) }));
  return { present: pick(1), absent: pick(-1), count: cells.size };
}

/** Rows of the open picture with what is known of each now. */
export function rowsHere(state) {
  const image = currentImage(state);
  if (!image) return [];
  const cells = cellsOf(state, image.id);
  return (state.lists.get(image.id)?.rows ?? []).map((row) => ({
    ...row,
    state: cells.get(row.category)?.state ?? 0,
  }));
}

/** Suggestions that are not in the list yet, most probable first. */
export function moreHere(state) {
  const image = currentImage(state);
  if (!image) return [];
  const listed = new Set((state.lists.get(image.id)?.rows ?? []).map((row) => row.category));
  return offered(state, image).filter((suggestion) => !listed.has(suggestion.category));
}

/** Undecided suggestions; while nothing at all is known, the categories in their own order. */
function offered(state, image) {
  const cells = cellsOf(state, image.id);
  const list = image.suggestions.length ? image.suggestions : state.categories.map(unranked);
  return list.filter((suggestion) => !cells.has(suggestion.category));
}

function unranked({ id, name }) {
  return {
    category: id,
    name,
    probability: null,
    threshold: null,
    above: false,
    source: "none",
    reasons: [],
  };
}

/** Key of the evidence of one cell. */
export function evidenceKey(image, category) {
  return `${image}:${category}`;
}

/**
 * Apply one action.
 * @param {object} state
 * @param {object} action `{type, ...}`; `at` is milliseconds on any steady clock
 * @returns {[object, object[]]} the new state and what is to be done outside
 */
export function update(state, action) {
  const handler = HANDLERS[action.type];
  if (!handler) throw new Error(`unknown action ${action.type}`);
  return handler(state, action);
}

const HANDLERS = {
  // -- what the server says ------------------------------------------------------------------
  started: (state, { categories, pending }) =>
    fetch({ ...state, ready: true, categories, pending }, null),
  page: takePage,
  pageFailed: (state, { text }) => [say({ ...state, fetching: false }, text, "error"), []],
  categories: takeCategories,
  refreshed: refreshAhead,
  image: (state, { image, at }) => [takeImages(state, [image], at), []],
  visited: visit,
  sent: takeForeign,
  acknowledged: acknowledge,
  rejected: reject,
  status: takeStatus,
  evidence: (state, { image, category, evidence }) => [
    {
      ...state,
      evidence: new Map(state.evidence).set(evidenceKey(image, category), evidence),
    },
    [],
  ],
  shown: (state, { image, at }) =>
    currentImage(state)?.id === image && state.shownAt === null
      ? [{ ...state, shownAt: at }, []]
      : [state, []],
  unshowable: (state, { image, text }) => [
    { ...state, failed: new Map(state.failed).set(image, text) },
    [],
  ],

  // -- what the person does ------------------------------------------------------------------
  slot: decideSlot,
  decide: (state, { category, value, key }) => decide(state, [[category, value]], key),
  decideSelected: (state, { value, key, at }) => {
    const row = rowsHere(state).find((r) => r.category === state.selected);
    return row && settled(row, at) ? decide(state, [[row.category, value]], key) : [state, []];
  },
  restAbsent,
  next: (state, { at }) => goForward(state, at),
  previous: (state, { at }) => goBack(state, at),
  undo,
  select: (state, { category }) => withEvidence({ ...state, selected: category }),
  move: moveSelection,
  more: showMore,
  why: (state, { at }) => withEvidence(remember({ ...state, why: !state.why }, "why", "e", at)),
  zoom: (state, { at }) => [remember({ ...state, zoom: !state.zoom }, "zoom", "z", at), []],
  help: (state) => [{ ...state, help: !state.help }, []],
  type: startTyping,
  typed: (state, { text, index = 0 }) => [{ ...state, typing: { text, index } }, []],
  endTyping: (state) => [{ ...state, typing: null }, []],
  choose: (state, { category, value, key }) => {
    const uses = new Map(state.uses).set(category, (state.uses.get(category) ?? 0) + 1);
    return decide({ ...state, typing: null, uses }, [[category, value]], key);
  },
  queue: (state, { queue }) =>
    fetch({ ...state, queue, ahead: [], positions: new Map(), total: null }, null, true),
  dismiss: (state) => [{ ...state, notice: null }, []],
};

// -- queue -----------------------------------------------------------------------------------
// The server hands out pictures in an order that stays: each answer begins with the picture that
// is open and goes on with those after it. So every step forward tells which picture was left, and
// the answer replaces what was fetched ahead.

function fetch(state, after, open = false) {
  const asked = state.asked + 1;
  const effect = { type: "fetch", after, count: KEEP_AHEAD + 1, asked, open };
  return [{ ...state, asked, fetching: true }, [effect]];
}

function takePage(state, { images, position, total, asked, open, at }) {
  if (asked !== state.asked) return [state, []]; // the person was faster than the answer
  const taken = takeImages(state, images, at, { keepLists: true });
  const positions = new Map(state.positions);
  images.forEach((image, i) => positions.set(image.id, position + i));
  const current = open ? null : (currentImage(state)?.id ?? null);
  // The server may not have the newest decisions yet and hand a picture out that is done.
  const done = (image) =>
    cellsOf(taken, image.id).size >= (state.queue === "unlabelled" ? 1 : image.cells_total);
  const ahead = images
    .filter((image) => image.id !== current && !done(image))
    .map((image) => image.id);
  const next = {
    ...taken,
    positions,
    total,
    ahead,
    fetching: false,
    ended: ahead.length === 0,
    model: images[0]?.model_version ?? state.model,
  };
  const effects = [{ type: "prefetch", images: ahead }];
  if (current === null && ahead.length) {
    const [opened, more] = goForward({ ...next, cursor: next.trail.length - 1 }, at, false);
    return [opened, [...effects, ...more]];
  }
  return [next, effects];
}

/** New categories come with the next picture; a picture that is open without any gets them now. */
function takeCategories(state, { categories }) {
  let next = { ...state, categories };
  const image = currentImage(next);
  if (!image) return [next, []];
  if (!rowsHere(next).length) {
    next = { ...next, lists: new Map(next.lists).set(image.id, freshList(next, image.id)) };
    next.selected = rowsHere(next)[0]?.category ?? null;
  }
  return [next, [{ type: "reload", image: image.id }]];
}

/** A new model version: what was fetched ahead is asked for again; the open picture stays. */
function refreshAhead(state, { images, at }) {
  const next = takeImages(state, images, at, { keepLists: true });
  return [{ ...next, model: images[0]?.model_version ?? state.model }, []];
}

/** The next picture: one that was gone back from, else the next of the queue. */
function goForward(state, at, leave = true) {
  if (state.cursor < state.trail.length - 1) return openAt(state, state.cursor + 1, at);
  const queued = state.trail.slice(0, state.cursor + 1).filter((id) => !state.guests.has(id));
  const left = queued.at(-1) ?? null;
  if (!state.ahead.length) {
    const waiting = { ...state, cursor: state.trail.length, shownAt: null, ended: false };
    return state.fetching ? [waiting, []] : fetch(waiting, left);
  }
  const [id, ...ahead] = state.ahead;
  const lists = new Map(state.lists);
  lists.delete(id); // seen in an earlier round of the queue: today's suggestions
  const moved = { ...state, trail: [...state.trail, id], ahead, lists };
  const [opened, effects] = openAt(moved, moved.trail.length - 1, at);
  if (!leave) return [opened, effects];
  const [asking, more] = fetch(opened, left);
  return [asking, [...effects, ...more]];
}

function goBack(state, at) {
  return state.cursor > 0 ? openAt(state, state.cursor - 1, at) : [state, []];
}

/** A picture from another page, before the one that is open: the way forward leads back to it. */
function visit(state, { image, at }) {
  const known = takeImages(state, [image], at, { keepLists: true });
  if (currentImage(known)?.id === image.id) return [known, []];
  const place = Math.max(0, Math.min(known.cursor, known.trail.length));
  const trail = [...known.trail.slice(0, place), image.id, ...known.trail.slice(place)];
  const lists = new Map(known.lists);
  lists.delete(image.id);
  const guests = new Set(known.guests).add(image.id);
  const [opened, effects] = openAt({ ...known, trail, lists, guests }, place, at);
  return [say(opened, "Opened from another page. Space goes back to the queue.", "info"), effects];
}

function openAt(state, cursor, at) {
  const id = state.trail[cursor];
  const lists = new Map(state.lists);
  if (!lists.get(id)?.rows.length) lists.set(id, freshList(state, id));
  let next = {
    ...state,
    cursor,
    lists,
    shownAt: null,
    zoom: false,
    typing: null,
    notice: state.notice?.kind === "error" ? state.notice : null,
  };
  const rows = rowsHere(next);
  next.selected = rows.find((row) => row.state === 0)?.category ?? rows[0]?.category ?? null;
  const image = next.images.get(id);
  next = announce(next, `${image.file_name}. ${rows.length} suggested.`);
  const [withWhy, effects] = withEvidence(next);
  return [withWhy, [{ type: "open", image: id }, ...effects]];
}

/** The rows of a picture at the moment it opens. */
function freshList(state, id) {
  const image = state.images.get(id);
  const rows = offered(state, image)
    .slice(0, SLOTS)
    .map((suggestion, i) => ({ ...suggestion, slot: i + 1, since: 0 }));
  return { rows, model: image.model_version ?? null };
}

// -- decisions -------------------------------------------------------------------------------

/** One change of cells of the open picture: shown now, sent by the outbox. */
function decide(state, pairs, key) {
  const image = currentImage(state);
  if (!image) return [state, []];
  const known = cellsOf(state, image.id);
  const changed = pairs.filter(([category, value]) => (known.get(category)?.state ?? 0) !== value);
  if (!changed.length) {
    const [category, value] = pairs[0] ?? [];
    if (category === undefined) return [state, []];
    return [announce(state, `${nameOf(state, category)} is already ${verdict(value)}`), []];
  }
  const cells = changed.map(([category, value]) => ({ image: image.id, category, state: value }));
  const before = changed.map(([category]) => ({
    image: image.id,
    category,
    state: known.get(category)?.state ?? 0,
  }));
  const entry = {
    key,
    kind: "decide",
    cells,
    source: "focus",
    model: state.lists.get(image.id)?.model ?? null,
  };
  let next = {
    ...state,
    pending: [...state.pending, entry],
    done: [...state.done, { key, image: image.id, before, text: describe(state, cells) }].slice(
      -KEEP_UNDO,
    ),
    notice: null,
  };
  next = announce(next, describe(state, cells));
  if (changed.some(([category]) => category === state.selected)) next = selectUndecided(next);
  const [withWhy, effects] = withEvidence(next);
  return [withWhy, [{ type: "send", entry }, ...effects]];
}

function decideSlot(state, { slot, value, key, at }) {
  const row = rowsHere(state).find((r) => r.slot === slot);
  if (!row) return [announce(state, `No suggestion has the key ${slot}`), []];
  if (!settled(row, at)) return [announce(state, `${row.name} has just appeared, press again`), []];
  return decide(state, [[row.category, value]], key);
}

/** Absent for what is listed, undecided and was there long enough to be read; then the next. */
function restAbsent(state, { key, at }) {
  const image = currentImage(state);
  if (!image) return goForward(state, at);
  if (state.failed.has(image.id)) {
    return [say(state, "This picture cannot be shown, so nothing was marked. Space goes on.", "error"), []];
  }
  if (state.shownAt === null || at - state.shownAt < SETTLE_MS) {
    return [announce(state, "The picture has just appeared; nothing was marked"), []];
  }
  const rest = rowsHere(state).filter((row) => row.state === 0 && settled(row, at));
  const pairs = rest.map((row) => [row.category, -1]);
  const [decided, effects] = pairs.length ? decide(state, pairs, key) : [state, []];
  const [moved, more] = goForward(decided, at);
  const kept = effects.filter((effect) => effect.type === "send");
  return [moved, [...kept, ...more]];
}

function undo(state, { key, at }) {
  const last = state.done.at(-1);
  const entry = {
    key,
    kind: "undo",
    cells: last?.before ?? [],
    undoes: last?.key ?? null,
  };
  let next = { ...state, done: state.done.slice(0, -1), pending: [...state.pending, entry] };
  const effects = [{ type: "send", entry }];
  if (!last) return [announce(next, "Taking back your last change"), effects];
  if (last.image !== null && currentImage(next)?.id !== last.image) {
    const [moved, more] = openAt(next, placeOf(next, last.image), at);
    next = moved;
    effects.push(...more);
  }
  // Nothing of it is to be seen here, so it is written.
  if (last.image === null) next = say(next, `Taken back: ${last.text}`, "info");
  const category = last.before[0]?.category;
  if (rowsHere(next).some((row) => row.category === category)) next.selected = category;
  next = regiveSlots(announce(next, `Taken back: ${last.text}`));
  const [withWhy, more] = withEvidence(next);
  return [withWhy, [...effects, ...more]];
}

/**
 * A change that another page made. Undo takes back a person's newest change wherever it was made,
 * so this page has to know of it.
 */
function takeForeign(state, { entry }) {
  if (state.pending.some((e) => e.key === entry.key)) return [state, []];
  const pending = [...state.pending, { ...entry, cells: entry.cells ?? [], foreign: true }];
  if (entry.kind === "undo") {
    const taken = entry.undoes ?? state.done.at(-1)?.key;
    return [{ ...state, pending, done: state.done.filter((d) => d.key !== taken) }, []];
  }
  const text = entry.text ?? plural(entry.cells.length, "cell");
  const mark = { key: entry.key, image: null, before: [], text };
  return [{ ...state, pending, done: [...state.done, mark].slice(-KEEP_UNDO) }, []];
}

function acknowledge(state, { key, reply, at }) {
  const entry = state.pending.find((e) => e.key === key);
  let next = { ...state, pending: state.pending.filter((e) => e.key !== key) };
  next = takeImages(next, reply.images, at);
  const effects = entry?.foreign ? touched(next, entry, reply) : [];
  if (next.ended && !currentImage(next) && !next.pending.length && !next.fetching) {
    const [asking, more] = fetch(next, null); // now that the server knows everything
    next = asking;
    effects.push(...more);
  }
  if (entry?.kind === "undo") {
    if (reply.summary && !entry.undoes) next = announce(next, reply.summary);
    if (reply.skipped) next = say(next, reply.summary, "info");
    // Nothing of this visit was left to take back: show where the server took something back.
    const image = reply.images[0]?.id;
    if (!entry.undoes && !entry.foreign && image !== undefined && currentImage(next)?.id !== image) {
      const [moved, more] = openAt(withTrail(next, image), placeOf(next, image), at);
      next = moved;
      effects.push(...more);
    }
  }
  const [withWhy, more] = withEvidence(next);
  return [withWhy, [...effects, ...more]];
}

/** Pictures that a change from another page touched; of many the answer carries no states. */
function touched(state, entry, reply) {
  const told = new Set(reply.images.map((image) => image.id));
  const ids = new Set(entry.cells.map((cell) => cell.image).filter((id) => !told.has(id)));
  const current = currentImage(state)?.id;
  const ahead = state.ahead.filter((id) => ids.has(id));
  return [
    ...(ids.has(current) ? [{ type: "reload", image: current }] : []),
    ...(ahead.length ? [{ type: "refresh", images: ahead }] : []),
  ];
}

/** The server refused: the change is taken back by leaving `pending`, and said aloud. */
function reject(state, { key, text, dropped = [] }) {
  const gone = new Set([key, ...dropped]);
  const entry = state.pending.find((e) => e.key === key);
  const next = {
    ...state,
    pending: state.pending.filter((e) => !gone.has(e.key)),
    done: state.done.filter((d) => !gone.has(d.key)),
  };
  const what =
    entry?.kind === "undo" ? "Nothing was taken back" : `Not saved: ${describe(state, entry?.cells ?? [])}`;
  const images = [...new Set((entry?.cells ?? []).map((cell) => cell.image))];
  return [say(next, `${what} (${text})`, "error"), images.map((image) => ({ type: "reload", image }))];
}

/** Newest revision wins; the list of an open picture follows in place. */
function takeImages(state, images, at, { keepLists = false } = {}) {
  const next = { ...state, images: new Map(state.images), lists: new Map(state.lists) };
  for (const image of images ?? []) {
    if (!isNewer(image, next.images.get(image.id))) continue;
    next.images.set(image.id, image);
    const list = next.lists.get(image.id);
    // Numbers of another model version would change the order that was promised to stay.
    if (list && !keepLists && list.model === (image.model_version ?? null)) {
      next.lists.set(image.id, followed(next, image, list, at ?? 0));
    }
  }
  return next;
}

function isNewer(image, old) {
  if (!old) return true;
  if (image.revision !== old.revision) return image.revision > old.revision;
  return (image.model_version ?? 0) >= (old.model_version ?? 0);
}

/** The list with today's numbers, and risen categories at its end on keys that are free. */
function followed(state, image, list, at) {
  const cells = cellsOf(state, image.id);
  const now = new Map(image.suggestions.map((s) => [s.category, s]));
  let rows = list.rows.map((row) => ({ ...row, ...(now.get(row.category) ?? {}) }));
  const listed = new Set(rows.map((row) => row.category));
  const risen = image.suggestions.filter(
    (s) => s.above && !listed.has(s.category) && !cells.has(s.category),
  );
  for (const suggestion of risen) {
    const freed = rows.find((row) => row.slot !== null && cells.has(row.category));
    if (!freed) break;
    const slot = freed.slot;
    rows = rows.map((row) => (row === freed ? { ...row, slot: null } : row));
    rows.push({ ...suggestion, slot, since: at });
  }
  return { ...list, rows };
}

/** After an undo an undecided row may stand without a key: give it one that is free. */
function regiveSlots(state) {
  const image = currentImage(state);
  const list = image && state.lists.get(image.id);
  if (!list) return state;
  const cells = cellsOf(state, image.id);
  const taken = new Set(list.rows.filter((r) => r.slot !== null).map((r) => r.slot));
  const rows = list.rows.map((row) => {
    if (row.slot !== null || cells.has(row.category)) return row;
    for (let slot = 1; slot <= SLOTS; slot++) {
      if (!taken.has(slot)) {
        taken.add(slot);
        return { ...row, slot };
      }
    }
    return row;
  });
  return { ...state, lists: new Map(state.lists).set(image.id, { ...list, rows }) };
}

// -- selection, typing -----------------------------------------------------------------------

function moveSelection(state, { by }) {
  const rows = rowsHere(state);
  if (!rows.length) return [state, []];
  const at = rows.findIndex((row) => row.category === state.selected);
  const to = Math.max(0, Math.min(rows.length - 1, at + by));
  return withEvidence({ ...state, selected: rows[to].category });
}

function selectUndecided(state) {
  const rows = rowsHere(state);
  const from = rows.findIndex((row) => row.category === state.selected);
  const order = [...rows.slice(from + 1), ...rows.slice(0, Math.max(from, 0))];
  const next = order.find((row) => row.state === 0);
  return next ? { ...state, selected: next.category } : state;
}

function showMore(state, { at }) {
  const image = currentImage(state);
  const more = moreHere(state).slice(0, SLOTS);
  if (!image || !more.length) return [state, []];
  const list = state.lists.get(image.id);
  const rows = [...list.rows, ...more.map((s) => ({ ...s, slot: null, since: at ?? 0 }))];
  let next = { ...state, lists: new Map(state.lists).set(image.id, { ...list, rows }) };
  next = freeDecidedSlots(next, image.id);
  next = announce(regiveSlots(next), `${plural(more.length, "more suggestion")}`);
  return withEvidence({ ...next, selected: more[0].category });
}

function freeDecidedSlots(state, id) {
  const cells = cellsOf(state, id);
  const list = state.lists.get(id);
  const rows = list.rows.map((row) => (cells.has(row.category) ? { ...row, slot: null } : row));
  return { ...state, lists: new Map(state.lists).set(id, { ...list, rows }) };
}

function startTyping(state, { text = "", at }) {
  if (!currentImage(state)) return [state, []];
  const last = state.lastLetter;
  let next = { ...state, help: false, lastLetter: null, selected: state.selected };
  let typed = text;
  // "e" opened the reasons, but "el" was meant to be typed: close them again and keep both letters.
  if (text && last && at !== undefined && at - last.at < TYPING_MS) {
    next[last.command] = !next[last.command];
    typed = last.letter + text;
  }
  return [{ ...next, typing: { text: typed, index: 0 } }, [{ type: "focusTyping" }]];
}

function remember(state, command, letter, at) {
  return { ...state, lastLetter: at === undefined ? null : { command, letter, at } };
}

// -- model -----------------------------------------------------------------------------------

function takeStatus(state, { status }) {
  const version = status.model?.id ?? null;
  const before = state.status?.model?.id ?? null;
  let next = { ...state, status };
  const effects = [];
  if (state.ready && state.status && version !== null && version !== before) {
    effects.push({ type: "refresh", images: state.ahead });
    next = say(next, `Model ${status.model.number} is ready; used from the next picture on.`, "info");
  }
  const was = state.status?.counts;
  if (state.ready && was && status.counts.categories !== was.categories) {
    effects.push({ type: "categories" });
  }
  const more =
    was &&
    (status.counts.images > was.images || status.counts.categories !== was.categories);
  if (state.ready && more && !currentImage(next) && !next.fetching) {
    const [asking, fetching] = fetch({ ...next, ended: false }, null);
    return [asking, [...effects, ...fetching]];
  }
  return [next, effects];
}

// -- small parts -----------------------------------------------------------------------------

function settled(row, at) {
  return at === undefined || at - row.since >= SETTLE_MS || row.since === 0;
}

/** Ask for the evidence of the selected cell if the panel is open and it is not here yet. */
function withEvidence(state) {
  const image = currentImage(state);
  if (!image || !state.why || state.selected === null) return [state, []];
  const model = state.lists.get(image.id)?.model ?? null;
  if (model === null) return [state, []]; // nothing has been learned that could be told
  const key = evidenceKey(image.id, state.selected);
  const have = state.evidence.get(key);
  if (have && have.revision === image.revision && have.model === model) return [state, []];
  return [state, [{ type: "evidence", image: image.id, category: state.selected, model }]];
}

function placeOf(state, imageId) {
  const at = state.trail.lastIndexOf(imageId);
  return at >= 0 ? at : state.trail.length;
}

function withTrail(state, imageId) {
  return state.trail.includes(imageId) ? state : { ...state, trail: [...state.trail, imageId] };
}

function nameOf(state, category) {
  return state.categories.find((c) => c.id === category)?.name ?? `category ${category}`;
}

/** "cup present" or "7 absent: bowl, chair, …". */
export function describe(state, cells) {
  if (!cells.length) return "nothing";
  const names = cells.slice(0, 3).map((cell) => nameOf(state, cell.category));
  const what = verdict(cells[0].state);
  if (cells.length === 1) return `${names[0]} ${what}`;
  return `${cells.length} ${what}: ${names.join(", ")}${cells.length > 3 ? ", …" : ""}`;
}

function announce(state, text) {
  return { ...state, said: { text, n: state.said.n + 1 } };
}

function say(state, text, kind) {
  const n = (state.notice?.n ?? 0) + 1;
  return { ...state, notice: { text, kind, n } };
}

/** For a row's name to screen readers: "cup, 93 % likely, above its threshold". */
export function rowLabel(row) {
  const state = row.state === 0 ? "" : `, marked ${verdict(row.state)}`;
  if (row.probability === null) return `${row.name}${state}`;
  const side = row.above ? "above" : "below";
  return `${row.name}, ${percent(row.probability)} likely, ${side} its threshold${state}`;
}
