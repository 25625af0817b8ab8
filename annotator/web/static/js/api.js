// The one place that talks to /api/v1.

import { Refused } from "./outbox.js";
import { piecesOf } from "./pieces.js";

const TIMEOUT_MS = 10_000;
/** Another workspace is served at this address now. */
const MOVED = 421;
/** Answers that will not change by asking again. */
const FINAL = new Set([400, 401, 403, 404, 405, 409, 413, 415, 422]);

export class Api {
  /**
   * @param {object} options
   * @param {string} options.base such as "/api/v1"
   * @param {string} options.workspace id; a server with another workspace refuses
   * @param {typeof fetch} options.fetch
   */
  constructor({ base, workspace = null, user = null, fetch = globalThis.fetch.bind(globalThis) }) {
    Object.assign(this, { base, workspace, user, fetch });
  }

  get(path, options) {
    return this.#call("GET", path, undefined, options);
  }

  post(path, body, options) {
    return this.#call("POST", path, body, options);
  }

  put(path, body, options) {
    return this.#call("PUT", path, body, options);
  }

  delete(path, options) {
    return this.#call("DELETE", path, {}, options);
  }

  /** Address of a picture: "picture", "thumbnail". */
  pictureUrl(image, kind, size = null) {
    // Ids start at 1 in every workspace; with the workspace in it the browser may keep the answer.
    const query = new URLSearchParams({ w: this.workspace });
    if (size) query.set("size", size);
    return `${this.base}/images/${Number(image)}/${kind}?${query}`;
  }

  /** Small pictures in one answer: the bytes of each JPEG, null for one to be asked for alone. */
  async thumbnails(images) {
    const query = new URLSearchParams({ images: images.join(","), w: this.workspace });
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await this.fetch(`${this.base}/thumbnails?${query}`, { signal });
    if (!response.ok) throw new Error(await reason(response));
    return piecesOf(await response.arrayBuffer());
  }

  async #call(method, path, body, { user = this.user, signal, saved } = {}) {
    const headers = { "X-Annotator-Client": "page" };
    if (user !== null) headers["X-Annotator-User"] = String(user);
    if (this.workspace !== null) headers["X-Annotator-Workspace"] = this.workspace;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const response = await this.fetch(this.base + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      cache: "no-store",
    });
    if (response.ok) {
      saved?.(); // the server says so as soon as it is on disk, and only then works out the answer
      return response.json();
    }
    const text = await reason(response);
    if (response.status === MOVED) throw Object.assign(new Error(text), { moved: true });
    if (FINAL.has(response.status)) throw Object.assign(new Refused(text), { status: response.status });
    throw Object.assign(new Error(text), { status: response.status });
  }
}

async function reason(response) {
  try {
    const body = await response.json();
    if (typeof body.error === "string") return body.error;
  } catch {
    // not ours: a proxy, or a server that died while answering
  }
  return `The server answered ${response.status}`;
}
