// What stands where the tiles would be when there are none, and what to do next.

import { grouped } from "../words.js";

/** `{title, text, act, label}`, or null when there are tiles to show. */
export function emptyState(state, online) {
  const counts = state.status?.counts;
  if (state.problem) {
    return {
      title: "This filter cannot be used",
      text: state.problem,
      act: "clearFilter",
      label: "Clear the filter",
    };
  }
  if (!state.list) {
    if (!online) {
      return { title: "The server does not answer", text: "The list comes when it is back." };
    }
    const many = counts ? ` of ${grouped(counts.images)} pictures` : "";
    return { title: "Looking …", text: `Reading the labels${many}.` };
  }
  if (state.list.of === 0) {
    return {
      title: "No pictures yet",
      text: "Add a folder with: annotator add images FOLDER. They appear here at once.",
    };
  }
  if (state.list.total === 0) {
    return {
      title: "No picture matches",
      text: "Take a part of the filter out, or clear it.",
      act: "clearFilter",
      label: "Clear the filter",
    };
  }
  return null;
}
