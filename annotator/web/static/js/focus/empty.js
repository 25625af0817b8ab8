// What stands where the picture would be when there is none: what is so, and what to do next.

import { LOOK_AGAIN } from "./again.js";
import { currentImage } from "./state.js";

/** {title, text}, or null when there is a picture to show. */
export function emptyState(state, { online }) {
  if (currentImage(state)) return null;
  const counts = state.status?.counts;
  if (!online && !state.ready) {
    return {
      title: "The server does not answer",
      text: "Start it with: annotator serve. This page goes on by itself.",
    };
  }
  if (!state.ready || !counts) return { title: "Opening …", text: "" };
  if (!counts.categories) {
    return {
      title: "No categories yet",
      text: "Add the names you want to mark on the Data page; they appear here at once.",
    };
  }
  if (!counts.images) {
    return {
      title: "No pictures yet",
      text: "Add a folder with: annotator add images FOLDER. They appear here at once.",
    };
  }
  if (!online) {
    return {
      title: "The server does not answer",
      text: "What you marked is kept here. The next picture comes when it is back.",
    };
  }
  if (state.ended && state.queue === LOOK_AGAIN) {
    return {
      title: "Nothing to look at again",
      text: "No decided cell contradicts what the model has learned. Choose another queue below.",
    };
  }
  if (state.ended && state.queue === "audit") {
    return {
      title: "No blind question waits",
      text: "What the answers prove stands on Progress, under Automatic decisions. Choose another order below to go on.",
    };
  }
  if (state.ended) {
    return {
      title: "This queue is finished",
      text: "You have seen every picture in it. Choose another order below, or go back with ←.",
    };
  }
  return { title: "Looking for the next picture …", text: "" };
}

/** One line above the list: why there is no help from a model, or none that learns; or null. */
export function modelHint(state) {
  if (!state.status) return null;
  const { model, job, worker_alive: alive, counts } = state.status;
  if (job?.status === "failed") {
    const reason = job.reason || "no reason was given";
    return `The model has stopped learning: ${reason}. Go on labelling; the Model page tells more.`;
  }
  if (job?.status === "running" && !alive) {
    return "The trainer does not answer. Go on labelling; the Model page tells more.";
  }
  if (model) return null;
  if (!counts.known) {
    return "Nothing is known yet, so your categories come in their own order. Mark what you see.";
  }
  return "No model yet: ordered by how common each is. It comes once some are present, some absent.";
}
