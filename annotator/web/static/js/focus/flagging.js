// Flags of the picture, the field for a note, and the list of all open flags.

import { attr, h, keyed } from "../dom.js";
import { plural } from "../words.js";
import { flagsHere } from "./state.js";

const NOTE_LENGTH = 1000;

/**
 * @param {(action: object) => void} send
 * @param {() => object} getState
 */
export function makeFlagging(send, getState) {
  const note = h("textarea", {
    id: "focus-note",
    rows: 2,
    maxlength: NOTE_LENGTH,
    onkeydown: onKey,
  });
  const form = h(
    "form.note",
    { hidden: true, "aria-label": "Flag this picture", onsubmit: submit },
    h("label", { for: "focus-note", text: "Flag this picture. What should somebody look at?" }),
    note,
    h(
      "p.buttons",
      {},
      h("span.quiet", {}, h("kbd", { text: "Enter" }), " flag ", h("kbd", { text: "Esc" }), " leave"),
      h("button", { type: "button", text: "Leave", onclick: () => send({ type: "flag" }) }),
      h("button.primary", { type: "submit", text: "Flag" }),
    ),
  );
  const list = h("ul.flags", { "aria-label": "Flags of this picture" });
  const element = h("div.flagging", {}, list, form);
  let open = false;

  function submit(event) {
    event?.preventDefault();
    send({ type: "flagPicture", note: note.value });
  }

  function onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") send({ type: "flag" });
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else if (event.key.length === 1 && note.value === "" && !event.ctrlKey && !event.metaKey) {
      send({ type: "typedNotNote", text: event.key });
      if (getState().flagging) return;
    } else return;
    event.preventDefault();
  }

  function render(state) {
    const flags = flagsHere(state);
    list.hidden = !flags.length;
    keyed(list, flags, (flag) => flag.id, () => createFlag(send), patchFlag);
    form.hidden = !state.flagging;
    if (state.flagging && !open) {
      note.value = "";
      note.focus();
    } else if (!state.flagging && open && form.contains(document.activeElement)) {
      document.activeElement.blur();
    }
    open = state.flagging;
  }

  return { element, render };
}

function createFlag(send) {
  const text = h("span.text");
  const close = h("button", {
    type: "button",
    text: "Done",
    onclick: () => send({ type: "closeFlag", flag: item.flag.id }),
  });
  const item = h("li", {}, h("span.sign", { text: "⚑", "aria-hidden": "true" }), text, close);
  item.parts = { text, close };
  return item;
}

function patchFlag(item, flag) {
  item.flag = flag;
  const { text, close } = item.parts;
  attr(text, "text", flag.note ? `${flag.user}: ${flag.note}` : `flagged by ${flag.user}`);
  attr(close, "aria-label", `Close the flag of ${flag.user}: it is dealt with`);
  attr(close, "hidden", flag.saved === false);
}

/**
 * All open flags, to go to their pictures.
 * @param {(action: object) => void} send
 * @param {() => object} getState
 * @param {(image: number) => void} openImage
 * @param {(image: number) => string} thumbnailUrl
 */
export function makeFlagList(send, getState, openImage, thumbnailUrl) {
  const title = h("h2");
  const list = h("ul.flag-list");
  const element = h(
    "dialog.card",
    {
      "aria-label": "Flags",
      onclose: () => getState().listing && send({ type: "flagList" }),
      onclick: (event) => event.target === element && element.close(),
    },
    title,
    list,
    h("p.buttons", {}, h("button", { type: "button", text: "Close", onclick: () => element.close() })),
  );

  function create() {
    const image = h("img", { alt: "", width: 56, height: 56, loading: "lazy" });
    const name = h("b");
    const note = h("span.text");
    const who = h("span.quiet");
    const show = h("button", {
      type: "button",
      text: "Show",
      onclick: () => {
        element.close();
        document.activeElement?.blur(); // the keys belong to the picture now
        openImage(item.flag.image);
      },
    });
    const done = h("button", {
      type: "button",
      text: "Done",
      onclick: () => send({ type: "closeFlag", flag: item.flag.id }),
    });
    const item = h("li", {}, image, h("div", {}, name, note, who), show, done);
    item.parts = { image, name, note, who, show, done };
    return item;
  }

  function patch(item, flag) {
    item.flag = flag;
    const { image, name, note, who, show, done } = item.parts;
    attr(image, "src", thumbnailUrl(flag.image));
    attr(name, "text", flag.file_name);
    attr(note, "text", flag.note);
    attr(who, "text", `${flag.user}, ${new Date(flag.at).toLocaleString()}`);
    attr(show, "aria-label", `Show ${flag.file_name}`);
    attr(done, "aria-label", `Close the flag on ${flag.file_name}`);
  }

  return {
    element,
    render(state) {
      if (state.listing && !element.open) element.showModal();
      else if (!state.listing && element.open) element.close();
      if (!state.listing) return;
      const closing = new Set(state.pending.filter((e) => e.kind === "closeFlag").map((e) => e.flag));
      const flags = state.flags.filter((flag) => !closing.has(flag.id));
      attr(title, "text", flags.length ? `${plural(flags.length, "open flag")}, newest first` : "No open flags");
      keyed(list, flags, (flag) => flag.id, create, patch);
    },
  };
}
