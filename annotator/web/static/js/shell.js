// The header: workspace, model chip, saved chip, user chip.

import { attr, h } from "./dom.js";
import { modelText, savedText } from "./words.js";

const THEME_ITEM = "annotator.theme";

/**
 * @param {Element} root
 * @param {import("./session.js").Session} session
 */
export function mountHeader(root, session) {
  root.classList.add("annotator");
  const name = h("h1.brand", { text: "Annotator" });
  const model = h("span.chip-text", { "data-tone": "" });
  const saved = h("span.chip-text", { role: "status", "data-tone": "good", text: "All saved" });
  const user = h("button.chip-text", {
    type: "button",
    "aria-label": "Change user",
    onclick: () => void session.rename(),
    hidden: true,
  });
  const moved = h("p.banner", { role: "alert", hidden: true });
  root.replaceChildren(name, h("div.status-chips", {}, model, saved, user), moved);

  let status = null;
  const shown = new Map(); // page -> {model, unit}: what it shows stays while others learn

  function drawModel() {
    const { text, title, tone } = modelText(status, shown.get(openPage()) ?? null);
    attr(model, "text", text);
    attr(model, "title", title || null);
    attr(model, "data-tone", tone);
  }

  session.on("status", (now) => {
    status = now;
    attr(name, "text", status.workspace.name);
    attr(name, "title", status.workspace.name);
    document.title = `${status.workspace.name} · Annotator`;
    drawModel();
  });
  session.on("showing", ({ page, ...what }) => {
    shown.set(page, "model" in what ? what : null);
    drawModel();
  });
  // Another page: which is open is known once the click has done its work.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[role=tab]")) requestAnimationFrame(drawModel);
  });
  session.on("outbox", (state) => {
    attr(saved, "text", savedText(state));
    attr(saved, "title", state.problem || null);
    attr(saved, "data-tone", !state.online ? "warn" : state.waiting ? "busy" : "good");
  });
  session.on("user", ({ name: who }) => {
    user.hidden = false;
    attr(user, "text", who);
    attr(user, "aria-label", `You are ${who}; change`);
  });
  session.on("open-image", () => openTab("Focus"));
  session.on("find", () => openTab("Browse"));
  session.on("moved", (text) => {
    moved.hidden = false;
    attr(moved, "text", text);
  });
}

const TABS = "#annotator-tabs > .tab-wrapper [role=tab]";

/** Open one of the pages by the word on its tab. */
export function openTab(title) {
  const tabs = document.querySelectorAll(TABS);
  [...tabs].find((tab) => tab.textContent.trim() === title)?.click();
}

/** The word on the tab of the page that is open. */
function openPage() {
  return document.querySelector(`${TABS}[aria-selected=true]`)?.textContent.trim() ?? "";
}

/** Ask for the name to work under, in a dialog that also chooses the colours. */
export function askName(current, problem = "") {
  return new Promise((resolve) => {
    const input = h("input", {
      type: "text",
      id: "annotator-name",
      maxlength: 80,
      required: true,
      value: current,
      autocomplete: "nickname",
    });
    const cancel = current
      ? h("button", { type: "button", text: "Cancel", onclick: () => dialog.close() })
      : null;
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { text: current ? "You" : "Who is labelling?" }),
      h("label", { for: "annotator-name", text: "Your name is kept with each decision." }),
      input,
      h("p.problem", { role: "alert", text: problem, hidden: !problem }),
      current ? themeChoice() : null,
      h("p.buttons", {}, cancel, h("button.primary", { type: "submit", text: current ? "Use this name" : "Begin" })),
    );
    const dialog = h("dialog.card.annotator", {
      "aria-label": "Your name",
      oncancel: (event) => current || event.preventDefault(),
      onclose: () => {
        dialog.remove();
        resolve(dialog.returnValue === "ok" ? input.value.trim() : "");
      },
    }, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) dialog.close("ok");
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
    input.select();
  });
}

/** Light, dark or as the system has it; Gradio's own `?__theme=` in the address wins. */
export function applyTheme(theme = localStorage.getItem(THEME_ITEM) ?? "system") {
  if (new URLSearchParams(location.search).has("__theme")) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = () =>
    document.body.classList.toggle("dark", theme === "dark" || (theme === "system" && dark.matches));
  set();
  dark.onchange = set;
}

function themeChoice() {
  const chosen = localStorage.getItem(THEME_ITEM) ?? "system";
  const radios = [
    ["system", "As the system"],
    ["light", "Light"],
    ["dark", "Dark"],
  ].map(([value, text]) =>
    h(
      "label.choice",
      {},
      h("input", {
        type: "radio",
        name: "theme",
        value,
        checked: value === chosen,
        onchange: () => {
          localStorage.setItem(THEME_ITEM, value);
          applyTheme(value);
        },
      }),
      ` ${text}`,
    ),
  );
  return h("fieldset", {}, h("legend", { text: "Colours" }), ...radios);
}
