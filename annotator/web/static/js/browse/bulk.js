// Deciding a selection: the bar that says how many, and the card that counts before it asks.

import { attr, h } from "../dom.js";
import { grouped, plural, verdict } from "../words.js";
import { options } from "./head.js";
import { count } from "./selection.js";
import { bulkTitle, chosen, outcome, total, willChange } from "./state.js";

const VALUES = [
  [1, "Present", "P"],
  [-1, "Absent", "A"],
  [0, "Unknown", "U"],
];

/** The bar at the bottom while something is selected. */
export function makeSelectionBar(send, getState) {
  const number = h("b");
  const all = h("button.plain", { type: "button", onclick: () => send({ type: "selectAll" }) });
  const category = h("select", {
    "aria-label": "Category to decide",
    onchange: () => send({ type: "show", category: Number(category.value) }),
  });
  const buttons = VALUES.map(([value, text, key]) =>
    h("button", { type: "button", onclick: () => send({ type: "bulkOpen", value }) }, `${text} `, h("kbd", { text: key })),
  );
  const element = h(
    "div.selection",
    { role: "region", "aria-label": "Selection", hidden: true },
    h("span.number", {}, number, " selected"),
    all,
    h("span.act", {}, h("label", {}, h("span.word", { text: "Set" }), category), ...buttons),
    h("button.plain", { type: "button", text: "Clear", onclick: () => send({ type: "selectNone" }) }),
  );

  function render(state) {
    const selected = count(state.selected);
    element.hidden = !selected || state.view !== "grid";
    if (!selected) return;
    attr(number, "text", grouped(selected));
    all.hidden = selected === total(state);
    attr(all, "text", `Select all ${grouped(total(state))}`);
    options(category, state.categories.map((c) => [String(c.id), c.name]));
    category.value = String(state.show ?? state.categories[0]?.id ?? "");
  }

  return { element, render };
}

/** The card that tells what would happen and asks. */
export function makeBulkCard(send, getState) {
  const title = h("h2", { id: "browse-bulk-title" });
  const category = h("select", {
    onchange: () => send({ type: "bulkChange", change: { category: Number(category.value) } }),
  });
  const values = VALUES.map(([value, text]) => {
    const input = h("input", {
      type: "radio",
      name: "browse-bulk-value",
      value,
      onchange: () => send({ type: "bulkChange", change: { value } }),
    });
    return { value, input, label: h("label.choice", {}, input, ` ${text}`) };
  });
  const facts = h("ul.facts", { "aria-live": "polite" });
  const conflicts = [
    [false, "keep them as they are"],
    [true, "change them too"],
  ].map(([overwrite, text]) => {
    const input = h("input", {
      type: "radio",
      name: "browse-bulk-conflict",
      onchange: () => send({ type: "bulkChange", change: { overwrite } }),
    });
    return { overwrite, input, label: h("label.choice", {}, input, ` ${text}`) };
  });
  const question = h("legend");
  const conflict = h("fieldset", {}, question, ...conflicts.map(({ label }) => label));
  const problem = h("p.problem", { role: "alert", hidden: true });
  const confirm = h("button.primary", { type: "submit" });
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        send({ type: "bulkConfirm" });
      },
    },
    title,
    h("p.line", {}, h("label", {}, h("span.word", { text: "Category" }), category)),
    h("fieldset", {}, h("legend.sr-only", { text: "State" }), ...values.map(({ label }) => label)),
    facts,
    conflict,
    problem,
    h(
      "p.buttons",
      {},
      h("button", { type: "button", text: "Cancel", onclick: () => send({ type: "bulkClose" }) }),
      confirm,
    ),
  );
  const element = h("dialog.card", {
    "aria-labelledby": "browse-bulk-title",
    oncancel: (event) => {
      event.preventDefault();
      send({ type: "bulkClose" });
    },
  }, form);
  let fresh = false;

  function render(state) {
    const { bulk } = state;
    if (!bulk) {
      if (element.open) element.close();
      return;
    }
    const pictures = count(chosen(state).ranges);
    attr(title, "text", `Set ${bulkTitle(bulk, pictures, state.categories)}`);
    options(category, state.categories.map((c) => [String(c.id), c.name]));
    category.value = String(bulk.category);
    for (const { value, input } of values) input.checked = value === bulk.value;
    const told = bulk.counted ? outcome(bulk) : null;
    lines(facts, told ? factLines(bulk, told) : [bulk.problem ? "" : "Counting …"]);
    const other = told && bulk.value !== 0 ? told.other : 0;
    conflict.hidden = !other;
    attr(question, "text", `${plural(other, "cell")} ${other === 1 ? "is" : "are"} ${verdict(-bulk.value)}:`);
    for (const { overwrite, input } of conflicts) input.checked = overwrite === bulk.overwrite;
    problem.hidden = !bulk.problem;
    attr(problem, "text", bulk.problem ?? "");
    const ready = told && willChange(bulk) && !bulk.busy;
    attr(confirm, "disabled", !ready);
    attr(confirm, "text", confirmText(bulk, told));
    if (!element.open) {
      element.showModal();
      fresh = true;
    }
    // Enter confirms once there is something to confirm, unless the person is elsewhere by then.
    if (ready && (fresh || document.activeElement === document.body)) {
      confirm.focus();
      fresh = false;
    }
  }

  return { element, render };
}

function confirmText(bulk, told) {
  if (bulk.busy) return "Saving …";
  if (!told) return "Set";
  const cells = told.added + told.overwritten;
  return cells ? `Set ${plural(cells, "cell")}` : "Nothing to change";
}

function factLines(bulk, told) {
  const { value } = bulk;
  if (value === 0) {
    return [
      `Makes ${plural(told.overwritten, "known cell")} unknown (${grouped(bulk.counted.present)} present, ${grouped(bulk.counted.absent)} absent).`,
      told.same ? `${plural(told.same, "cell")} unknown already.` : "",
    ];
  }
  return [
    `Sets ${plural(told.added, "unknown cell")}.`,
    told.overwritten ? `Overwrites ${plural(told.overwritten, "cell")} now ${verdict(-value)}.` : "",
    told.same ? `${plural(told.same, "cell")} ${verdict(value)} already.` : "",
    "One undo takes it back.",
  ];
}

function lines(list, texts) {
  list.replaceChildren(...texts.filter(Boolean).map((text) => h("li", { text })));
}
