// Steps through the queue: pages of pictures, forward, back, pictures from other pages.

import { without } from "../notices.js";
import { LOOK_AGAIN, asOpen, asksAgain, handedOut, rowsAgain } from "./again.js";
import { freshList, takeImages } from "./lists.js";
import { announce, askable, cellsOf, currentImage, rowsHere, say } from "./state.js";
import { forgetMaps, withEvidence } from "./why_steps.js";

const KEEP_AHEAD = 5;
const KEEP_TRAIL = 600;

/** Ask for the pictures behind one; the answer begins with the next. */
export function fetch(state, after, open = false) {
  const asked = state.asked + 1;
  const effect = { type: "fetch", after, count: KEEP_AHEAD + 1, asked, open };
  return [{ ...state, asked, fetching: true }, [effect]];
}

export function takePage(state, { images: found, position, total, blind, asked, open, at }) {
  if (asked !== state.asked) return [state, []]; // the person was faster than the answer
  const current = open ? null : (currentImage(state)?.id ?? null);
  const images = found.map((image) => ({
    ...(image.id === current ? asOpen(state, image) : handedOut(image)),
    ...(blind && { blind: true, queue: state.queue }),
  }));
  const taken = takeImages(state, images, at, { keepLists: true });
  const positions = new Map(state.positions);
  images.forEach((image, i) => positions.set(image.id, position + i));
  // The server may not have the newest decisions yet and hand a picture out that is done.
  const done = (image) => isDone(state.queue, taken.images.get(image.id), cellsOf(taken, image.id));
  const ahead = images
    .filter((image) => image.id !== current && !done(image))
    .map((image) => image.id);
  const next = {
    ...taken,
    blind: Boolean(blind),
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
  // Another queue was chosen and has nothing: the picture of the one before is not its picture.
  if (open) return [{ ...next, cursor: next.trail.length, shownAt: null }, effects];
  return [next, effects];
}

function isDone(queue, image, cells) {
  if (queue === LOOK_AGAIN) return !asksAgain(image, cells);
  return cells.size >= (queue === "unlabelled" ? 1 : image.cells_total);
}

/** A new model version: what was fetched ahead is asked for again; the open picture stays. */
export function refreshAhead(state, { images: found, at }) {
  const open = new Set(askable(state, found.map((image) => image.id)));
  const images = found.filter((image) => open.has(image.id));
  const next = takeImages(state, images, at, { keepLists: true });
  return [{ ...next, model: images[0]?.model_version ?? state.model }, []];
}

/** New categories come with the next picture; a picture that is open without any gets them now. */
export function takeCategories(state, { categories }) {
  let next = { ...state, categories };
  const image = currentImage(next);
  if (!image) return [next, []];
  if (!rowsHere(next).length) {
    next = { ...next, lists: new Map(next.lists).set(image.id, freshList(next, image.id)) };
    next.selected = rowsHere(next)[0]?.category ?? null;
  }
  return [next, askable(next, [image.id]).map((id) => ({ type: "reload", image: id }))];
}

export function takeStatus(state, { status }) {
  const version = status.model?.id ?? null;
  const before = state.status?.model?.id ?? null;
  let next = { ...state, status };
  const effects = [];
  if (state.ready && state.status && version !== null && version !== before) {
    if (state.queue === LOOK_AGAIN && currentImage(state) && !state.fetching) {
      const [asking, fetching] = fetch(next, null); // it contradicts other cells
      next = asking;
      effects.push(...fetching);
    } else effects.push({ type: "refresh", images: askable(state, state.ahead) });
    next = forgetMaps(next);
    next = say(next, `Model ${status.model.number} is ready: from the next picture on.`, "model");
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

/** The next picture: one that was gone back from, else the next of the queue. */
export function goForward(state, at, leave = true) {
  if (state.cursor < state.trail.length - 1) return openAt(state, state.cursor + 1, at);
  const queued = state.trail.slice(0, state.cursor + 1).filter((id) => !state.guests.has(id));
  const left = queued.at(-1) ?? null;
  // One that is open as a guest may be the next of the queue, too: it is not shown twice in a row.
  const here = leave ? currentImage(state)?.id : undefined;
  const [id, ...ahead] = state.ahead.filter((one) => one !== here);
  if (id === undefined) {
    const waiting = { ...state, cursor: state.trail.length, shownAt: null, ended: false };
    return state.fetching ? [waiting, []] : fetch(waiting, left);
  }
  const guests = new Set(state.guests);
  guests.delete(id); // handed out by the queue now
  const lists = new Map(state.lists);
  lists.delete(id); // seen in an earlier round of the queue: today's suggestions
  const moved = { ...state, trail: [...state.trail, id], ahead, lists, guests };
  const [opened, effects] = openAt(moved, moved.trail.length - 1, at);
  if (!leave) return [opened, effects];
  const [asking, more] = fetch(opened, left);
  return [asking, [...effects, ...more]];
}

export function goBack(state, at) {
  return state.cursor > 0 ? openAt(state, state.cursor - 1, at) : [state, []];
}

/** A picture from another page, before the one that is open: the way forward leads back to it. */
export function visit(state, { image, at }) {
  const known = takeImages(state, [handedOut(image)], at, { keepLists: true });
  if (currentImage(known)?.id === image.id) return [known, []];
  const place = Math.max(0, Math.min(known.cursor, known.trail.length));
  const trail = [...known.trail.slice(0, place), image.id, ...known.trail.slice(place)];
  const lists = new Map(known.lists);
  lists.delete(image.id);
  const guests = new Set(known.guests).add(image.id);
  const [opened, effects] = openAt({ ...known, trail, lists, guests }, place, at);
  return [say(opened, "Opened from another page. Space goes back to the queue.", "info"), effects];
}

export function openAt(state, cursor, at) {
  const id = state.trail[cursor];
  const lists = new Map(state.lists);
  if (!lists.get(id)?.rows.length) lists.set(id, freshList(state, id));
  let next = {
    ...forgetOldest({ ...state, cursor }),
    lists,
    shownAt: null,
    zoom: false,
    attention: false, // asked about one picture; over the next it would hide what is to be seen
    lastLetter: null,
    typing: null,
    flagging: false,
    notices: without(state.notices, "model", "others", "info"),
  };
  const rows = rowsHere(next);
  next.selected = rows.find((row) => row.open)?.category ?? rows[0]?.category ?? null;
  const image = next.images.get(id);
  const what = rowsAgain(image).length ? "to look at again" : "suggested";
  next = announce(next, `${image.file_name}. ${rows.length} ${what}.`);
  const [withWhy, effects] = withEvidence(next);
  return [withWhy, [{ type: "open", image: id }, ...effects]];
}

/** A long day passes thousands of pictures; the way back need not be that long. */
function forgetOldest(state) {
  const many = Math.min(state.trail.length - KEEP_TRAIL, state.cursor - 1);
  if (many < KEEP_TRAIL / 10) return state; // now and then, not with every picture
  const trail = state.trail.slice(many);
  const wanted = new Set([...trail, ...state.ahead]);
  const within = (map) => new Map([...map].filter(([id]) => wanted.has(id)));
  const done = state.done.filter((d) => d.image === null || wanted.has(d.image));
  const [images, lists, positions] = [state.images, state.lists, state.positions].map(within);
  return { ...state, trail, cursor: state.cursor - many, done, images, lists, positions };
}

export function placeOf(state, imageId) {
  const at = state.trail.lastIndexOf(imageId);
  return at >= 0 ? at : state.trail.length;
}

export function withTrail(state, imageId) {
  return state.trail.includes(imageId) ? state : { ...state, trail: [...state.trail, imageId] };
}
