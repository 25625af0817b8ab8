// What stands where the tiles would be when there are none: what is so, and what to do next.

import { grouped, plural } from "../words.js";
import { sideText, waitingOf } from "./state.js";

/**
 * {title, text, actions}, or null when there is a page. Actions are [label, action to send] or
 * [label, "Focus"] or [label, "Browse"] for the way to that page, Browse with the open category.
 */
export function emptyState(state, { online }) {
  if (state.page) return null;
  const focus = ["Go to Focus", "Focus"];
  const counts = state.status?.counts;
  if (!state.ready || !counts || !state.listed) {
    return online
      ? { title: "Opening …", text: "", actions: [] }
      : {
          title: "The server does not answer",
          text: "Start it with: annotator serve. This page goes on by itself.",
          actions: [],
        };
  }
  if (!counts.categories || !counts.images) {
    const what = counts.categories ? "pictures" : "categories";
    const text = `Sweep goes through pictures of one category at a time. Begin on Focus: it says what to add.`;
    return { title: `No ${what} yet`, text, actions: [focus] };
  }
  if (state.listModel === null) {
    return {
      title: "No model yet",
      text:
        "Sweep shows what the model suggests, sixty pictures at once. Mark some cells present and some " +
        "absent on Focus; the model comes by itself, and then its categories are listed here.",
      actions: [focus],
    };
  }
  if (state.category === null) return chooseOne(state);
  return closedClass(state, online, focus);
}

function chooseOne(state) {
  const first = state.order.map((id) => state.classes.get(id)).find((one) => waitingOf(one, state.side));
  const text =
    "A page shows sixty pictures of one category as the model sees them. Turn over what is wrong, then " +
    "accept the page. Nothing is decided before.";
  if (!first) {
    return {
      title: `Nothing is ${sideText(state.side)}`,
      text: "Every cell on this side is decided, or the model waits for more labels.",
      actions: [otherSide(state.side), ["Go to Focus", "Focus"]],
    };
  }
  return {
    title: "Choose a category",
    text: `${text} The list has the most useful ones first; Enter begins.`,
    actions: [["Begin with the first", { type: "chooseNext" }]],
  };
}

function closedClass(state, online, focus) {
  const one = state.classes.get(state.category);
  const name = one?.name ?? "this category";
  const waiting = state.pending.filter((entry) => entry.kind === "decide").length;
  if (!online) {
    const kept = waiting ? ` ${plural(waiting, "accepted page")} kept here.` : "";
    return {
      title: "The server does not answer",
      text: `The next page comes when it is back.${kept}`,
      actions: [],
    };
  }
  if (state.problem) return { title: "This page cannot be opened", text: state.problem, actions: [focus] };
  if (!state.ended) return { title: `Looking for ${name} …`, text: "", actions: [] };
  if (state.ended.waits_for) {
    const text = `The model cannot suggest it: ${state.ended.waits_for}.`;
    const find = [`Find ${name} on Browse`, "Browse"];
    return { title: `No suggestions of ${name} yet`, text, actions: [find, nextClass()] };
  }
  return nothingWaits(state, name);
}

function nothingWaits(state, name) {
  const { present, absent, elsewhere } = state.ended;
  const tally = state.tally.get(state.category);
  const passed = state.passed.get(state.category)?.size ?? 0;
  const accepted = tally && tally.present + tally.absent > 0;
  const parts = [];
  if (accepted) {
    parts.push(`You accepted ${grouped(tally.present)} present and ${grouped(tally.absent)} absent.`);
  }
  if (elsewhere) {
    parts.push(`${plural(elsewhere, "further picture")} on other people's pages; what they leave comes back.`);
  }
  if (passed) parts.push(`You left ${plural(passed, "picture")} unknown.`);
  const other = { present: absent, absent: present, both: 0 }[state.side];
  if (other) parts.push(`${grouped(other)} wait on the other side.`);
  const actions = [nextClass()];
  if (other) actions.push(otherSide(state.side));
  if (passed) actions.push(["Show those left unknown", { type: "again" }]);
  const title = accepted ? `${name} is done` : `Nothing of ${name} is ${sideText(state.side)}`;
  return { title, text: parts.join(" "), actions };
}

function nextClass() {
  return ["Next category", { type: "chooseNext" }];
}

function otherSide(side) {
  const to = side === "present" ? "absent" : "present";
  return [`Show suggested ${to}`, { type: "side", side: to }];
}
