// Gradio's dropdowns take Tab for a typed key and open their list anew, which then lies over what is
// below for as long as the page is open. The key is kept from them; the browser moves the focus on.

/** @param {EventTarget} page hears keys before Gradio does */
export function letTabPass(page) {
  const pass = (event) => {
    if (event.key !== "Tab" || !event.target.matches?.(".page [role=combobox]")) return;
    event.stopImmediatePropagation();
  };
  page.addEventListener("keydown", pass, true);
}
