// The form for one condition of the filter, new or changed.

import { attr, h } from "../dom.js";
import { namesOf, options } from "./head.js";

const KINDS = [
  ["label", "Label"],
  ["untouched", "Untouched pictures"],
  ["known", "Number of known cells"],
  ["score", "Probability"],
  ["decided", "Decided by, on, when"],
  ["name", "File name"],
  ["added", "Date added"],
  ["flagged", "Flagged"],
];

/**
 * @param {(action: object) => void} send
 * @param {() => object} getState
 */
export function makeEditor(send, getState) {
  const kind = h(
    "select",
    { onchange: () => choose(kind.value) },
    ...KINDS.map(([value, text]) => h("option", { value, text })),
  );
  const not = h("input", { type: "checkbox" });
  const problem = h("p.problem", { role: "alert", hidden: true });
  const hint = h("p.quiet", { hidden: true });
  const apply = h("button.primary", { type: "submit" });
  const fields = makeFields();
  const groups = makeGroups(fields);
  const element = h(
    "form.editor",
    {
      "aria-label": "Filter",
      hidden: true,
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
      onkeydown: (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        send({ type: "edit", index: null });
      },
    },
    field("Filter by", kind),
    ...Object.values(groups),
    h("label.check", {}, not, " not these"),
    hint,
    problem,
    h(
      "span.buttons",
      {},
      apply,
      h("button", { type: "button", text: "Cancel", onclick: () => send({ type: "edit", index: null }) }),
    ),
  );
  let open = null;

  function choose(name) {
    for (const [value, group] of Object.entries(groups)) group.hidden = !USES[name].includes(value);
    problem.hidden = true;
    const { choices } = getState();
    const waits = name === "score" && choices.model_version === null;
    hint.hidden = !waits;
    attr(hint, "text", waits ? "No model yet, so no picture has a probability." : "");
  }

  function submit() {
    const condition = read(kind.value, fields);
    if (typeof condition === "string") {
      problem.hidden = false;
      attr(problem, "text", condition);
      return;
    }
    if (not.checked) condition.not = true;
    send({ type: "condition", index: getState().editing, condition });
  }

  function begin(state) {
    const condition = state.filter.conditions[state.editing] ?? null;
    fill(fields, condition, state);
    kind.value = condition ? kindOf(condition) : (state.editing === -1 ? kind.value : "label");
    not.checked = Boolean(condition?.not);
    attr(apply, "text", condition ? "Change" : "Add");
    choose(kind.value);
  }

  function render(state) {
    const categories = state.categories.map((c) => [String(c.id), c.name]);
    options(fields.category, categories);
    options(fields.ofCategory, [["", "any category"], ...categories]);
    options(fields.user, [
      ["", "anybody"],
      ...state.choices.users.map((user) => [String(user.id), user.name]),
      ["0", "no person"],
    ]);
    const { source } = namesOf(state);
    options(fields.source, [["", "any page"], ...state.choices.sources.map((s) => [s, source(s)])]);
    if (open === state.editing) return;
    open = state.editing;
    element.hidden = open === null;
    if (open === null) return;
    begin(state);
    kind.focus();
  }

  /** Open the form on one kind, ready to be filled in. */
  function start(name) {
    kind.value = name;
    if (getState().editing === null) send({ type: "edit", index: -1 });
    choose(name);
    if (name === "name") fields.text.focus();
  }

  return { element, render, start };
}

const USES = {
  label: ["category", "states"],
  untouched: [],
  known: ["known"],
  score: ["category", "share"],
  decided: ["ofCategory", "user", "source", "days"],
  name: ["text"],
  added: ["days"],
  flagged: [],
};

function makeFields() {
  const number = (props) => h("input", { type: "number", inputmode: "numeric", ...props });
  return {
    category: h("select"),
    ofCategory: h("select"),
    user: h("select"),
    source: h("select"),
    present: h("input", { type: "checkbox" }),
    absent: h("input", { type: "checkbox" }),
    unknown: h("input", { type: "checkbox" }),
    least: number({ min: 0, step: 1 }),
    most: number({ min: 0, step: 1 }),
    low: number({ min: 0, max: 100, step: 1 }),
    high: number({ min: 0, max: 100, step: 1 }),
    from: h("input", { type: "date" }),
    to: h("input", { type: "date" }),
    text: h("input", { type: "text", autocomplete: "off", spellcheck: "false", maxlength: 200 }),
  };
}

function makeGroups(f) {
  const check = (box, text) => h("label.check", {}, box, ` ${text}`);
  const group = (name, ...children) => h("span.several", { role: "group", "aria-label": name }, ...children);
  return {
    category: field("category", f.category),
    ofCategory: field("cell of", f.ofCategory),
    states: group("is", check(f.present, "present"), check(f.absent, "absent"), check(f.unknown, "unknown")),
    known: group("cells", field("from", f.least), field("to", f.most)),
    share: group("per cent", field("from %", f.low), field("to %", f.high)),
    user: field("by", f.user),
    source: field("on", f.source),
    days: group("days", field("from", f.from), field("until", f.to)),
    text: field("contains", f.text),
  };
}

function field(text, control) {
  control.setAttribute("aria-label", text); // else the options of a select belong to its name
  return h("label.field", {}, h("span", { text }), control);
}

function kindOf(condition) {
  if (condition.kind === "known" && condition.most === 0) return "untouched";
  return USES[condition.kind] ? condition.kind : "label";
}

function fill(f, condition, state) {
  const c = condition ?? {};
  const category = c.category ?? state.show ?? state.categories[0]?.id ?? null;
  f.category.value = category === null ? "" : String(category);
  f.ofCategory.value = Number.isInteger(c.category) ? String(c.category) : "";
  for (const name of ["present", "absent", "unknown"]) {
    f[name].checked = c.states ? c.states.includes(name) : name === "unknown";
  }
  f.least.value = c.least !== undefined && c.kind === "known" ? (c.least ?? "") : "";
  f.most.value = c.most !== undefined && c.kind === "known" ? (c.most ?? "") : "";
  f.low.value = c.kind === "score" ? Math.round(c.least * 100) : 40;
  f.high.value = c.kind === "score" ? Math.round(c.most * 100) : 60;
  f.user.value = c.users ? String(c.users[0]) : "";
  f.source.value = c.sources?.[0] ?? "";
  f.from.value = c.from ?? "";
  f.to.value = c.to ?? "";
  f.text.value = c.text ?? "";
}

/** The condition that is filled in; a text where something is missing. */
function read(kind, f) {
  const whole = (input) => (input.value.trim() === "" ? null : Math.max(0, Math.round(Number(input.value))));
  const days = { from: f.from.value || null, to: f.to.value || null };
  if (days.from && days.to && days.from > days.to) return "The first day lies after the last.";
  if ((kind === "label" || kind === "score") && !f.category.value) return "There are no categories yet.";
  const readers = {
    label: () => {
      const states = ["present", "absent", "unknown"].filter((name) => f[name].checked);
      return states.length ? { kind, category: Number(f.category.value), states } : "Choose at least one state.";
    },
    untouched: () => ({ kind: "known", least: 0, most: 0 }),
    known: () => {
      const [least, most] = [whole(f.least), whole(f.most)];
      if (least === null && most === null) return "Give at least one number.";
      return most !== null && least !== null && least > most
        ? "The first number is larger than the second."
        : { kind, least, most };
    },
    score: () => {
      const [least, most] = [whole(f.low) ?? 0, whole(f.high) ?? 100].map((n) => Math.min(100, n) / 100);
      if (least > most) return "The first number is larger than the second.";
      return { kind, category: Number(f.category.value), least, most };
    },
    decided: () => ({
      kind,
      category: f.ofCategory.value ? Number(f.ofCategory.value) : null,
      users: f.user.value ? [Number(f.user.value)] : null,
      sources: f.source.value ? [f.source.value] : null,
      ...days,
    }),
    name: () => (f.text.value ? { kind, text: f.text.value } : "Type a part of the file name."),
    added: () => (days.from || days.to ? { kind, ...days } : "Give at least one day."),
    flagged: () => ({ kind }),
  };
  return readers[kind]();
}
