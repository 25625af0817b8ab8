// What comes from the server by itself: model versions, and what other people decided.

import { fetchAhead, giveBack } from "./pages.js";
import { say } from "./state.js";

export function takeStatus(state, { status }) {
  const version = status.model?.id ?? null;
  const before = state.status?.model?.id ?? null;
  const next = { ...state, status };
  if (!state.ready || !state.status || version === null || version === before) {
    return [next, newClasses(state, status)];
  }
  const [asking, effects] = refetch(next);
  const list = { type: "list", side: state.side, resort: !state.page };
  const told = state.page
    ? say(asking, `Model ${status.model.number} is ready: from the next page on.`, "model")
    : asking;
  return [told, [...(state.visible ? [list] : []), ...effects]];
}

function newClasses(state, status) {
  const was = state.status?.counts.categories;
  const changed = state.visible && was !== undefined && was !== status.counts.categories;
  return changed ? [{ type: "listSoon" }] : [];
}

/** Pages that nobody has seen yet are asked for anew. */
function refetch(state) {
  const seen = state.ahead.filter((page) => page.cursor !== undefined);
  const unseen = state.ahead.filter((page) => page.cursor === undefined);
  const asked = state.asked + 1;
  const next = { ...state, ahead: seen, asked, fetching: false, ended: null, problem: null };
  const [asking, effects] = fetchAhead(next);
  return [asking, [...unseen.flatMap(giveBack), ...effects]];
}

/** Other people's changes: tiles of the open page are looked at again, pages ahead fetched anew. */
export function takeChanges(state, { images, everything }) {
  if (!state.page && !state.ahead.length && !state.ended) return [state, [{ type: "listSoon" }]];
  const changed = new Set(images);
  const touched = (page) => page.tiles.filter((tile) => everything || changed.has(tile.image));
  const open = state.page ? touched(state.page).map((tile) => tile.image) : [];
  const effects = [{ type: "listSoon" }];
  if (open.length) effects.push({ type: "recheck", category: state.page.category, images: open });
  if (!state.ended && !state.ahead.some((page) => touched(page).length)) return [state, effects];
  const [next, more] = refetch(state);
  return [next, [...effects, ...more]];
}
