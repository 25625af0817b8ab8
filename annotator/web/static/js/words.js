// Numbers and states in plain words, the same everywhere on the page.

/** 0.934 -> "93 %"; never 0 % or 100 % for something that is not certain. */
export function percent(probability) {
  const rounded = Math.round(probability * 100);
  if (rounded === 0 && probability > 0) return "<1 %";
  if (rounded === 100 && probability < 1) return ">99 %";
  return `${rounded} %`;
}

/** plural(2, "cell") -> "2 cells". */
export function plural(count, noun, many = `${noun}s`) {
  return `${grouped(count)} ${count === 1 ? noun : many}`;
}

/** 12345 -> "12,345". */
export function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 1 -> "present", -1 -> "absent", 0 -> "unknown". */
export function verdict(state) {
  return state > 0 ? "present" : state < 0 ? "absent" : "unknown";
}

/** A push in logits as the factor on the odds, without its direction: 1.2 and -1.2 -> "3.3 ×". */
export function times(contribution) {
  const factor = Math.exp(Math.abs(contribution));
  if (factor >= 100) return "over 100\u00a0×";
  return `${factor >= 10 ? Math.round(factor) : Math.round(factor * 10) / 10}\u00a0×`;
}

/** Probability of a logit. */
export function sigmoid(logit) {
  return 1 / (1 + Math.exp(-logit));
}

/**
 * What the saved chip says.
 * @param {{waiting: number, online: boolean, durable: boolean, answered?: boolean}} outbox
 *   `answered`: the server was reached, but could not do it
 */
export function savedText({ waiting, online, durable, answered = false }) {
  if (!online) {
    const what = answered ? "Server in trouble" : "Connection lost";
    return waiting ? `${what}: ${waiting} kept here, retrying` : `${what}, retrying`;
  }
  if (!waiting) return "All saved";
  return durable ? `${waiting} not saved yet` : `${waiting} not saved yet, keep this page open`;
}

const ACTIVITIES = { learning: "learning", reading: "reading pictures" };

/**
 * What the model chip says: {text, title, tone}; tone is "", "busy" or "warn".
 * @param {?object} status as the server gives it
 * @param {?{model: ?number, unit: "picture" | "page"}} shown version whose suggestions are on screen,
 *   and what the next version waits for; null where the page shows always the newest
 */
export function modelText(status, shown = null) {
  if (!status) return { text: "Model …", title: "", tone: "" };
  const name = status.model ? `Model ${status.model.number}` : "No model yet";
  const { job } = status;
  const title = [job?.message, status.trainer].filter(Boolean).join("; ");
  if (job?.status === "failed" || (job?.status === "running" && !status.worker_alive)) {
    const reason = job.reason || "the trainer does not answer";
    return { text: `${name} · stopped`, title: `${reason}; ${status.trainer}`, tone: "warn" };
  }
  if (shown && status.model && shown.model !== status.model.number) {
    const ready = `${status.model.number} from the next ${shown.unit}`;
    const [text, here] =
      shown.model === null
        ? [`Model ${ready}`, "What is on screen is from no model"]
        : [`Model ${shown.model} here · ${ready}`, `The suggestions on screen are from model ${shown.model}`];
    return { text, title: `${here}; model ${status.model.number} is ready.`, tone: "busy" };
  }
  if (!job) return { text: name, title, tone: "" };
  if (job.status !== "running") return { text: name, title, tone: "" };
  const doing = ACTIVITIES[job.activity];
  if (doing) {
    const share = job.progress > 0 ? ` ${Math.round(job.progress * 100)} %` : "";
    return { text: `${name} · ${doing}${share}`, title, tone: "busy" };
  }
  if (job.activity === "waiting") {
    return { text: job.message.replace(/ \(.*\)$/, ""), title, tone: "" };
  }
  if (job.activity === "paused") return { text: `${name} · paused`, title, tone: "" };
  return { text: name, title, tone: "busy" };
}
