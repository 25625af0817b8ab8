// Entry: each Gradio mount point imports this module and says which part it is.

import { mountBrowse, openKept } from "./browse/main.js";
import { letTabPass } from "./dropdowns.js";
import { mountFocus } from "./focus/main.js";
import { Session } from "./session.js";
import { applyTheme, askName, mountHeader, openTab } from "./shell.js";
import { mountSweep } from "./sweep/main.js";

const PARTS = { header: mountHeader, focus: mountFocus, sweep: mountSweep, browse: mountBrowse };
let session = null;
// Tabs that are not open are mounted when they are first opened.
let waiting = new Set(["header", "focus"]);

letTabPass(window);

// Buttons of the pages that Gradio serves say where they lead.
document.addEventListener("annotator-open", ({ detail: { tab, queue, category } }) => {
  if (queue) session?.openQueue(queue);
  if (category) session?.find(category);
  openTab(tab);
});

/**
 * @param {Element} element the mount point
 * @param {string} part a key of PARTS
 */
export function mount(element, part) {
  session ??= new Session({ base: "/api/v1", askName, storage: localStorage });
  PARTS[part](element, session);
  waiting.delete(part);
  if (waiting.size === 0) {
    waiting = new Set(["started"]); // a part mounted again later joins the running session
    applyTheme();
    void session.start();
    openKept();
  }
}
