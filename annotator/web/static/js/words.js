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
 * @param {{waiting: number, online: boolean, durable: boolean}} outbox
 */
export function savedText({ waiting, online, durable }) {
  if (!online) {
    return waiting
      ? `Connection lost: ${waiting} kept here, retrying`
      : "Connection lost, retrying";
  }
  if (!waiting) return "All saved";
  return durable ? `${waiting} not saved yet` : `${waiting} not saved yet, keep this page open`;
}

/** What the model chip says, and its tone: "", "busy", "warn". */
export function modelText(status) {
  if (!status) return { text: "Model …", tone: "" };
  const name = status.model ? `Model ${status.model.number}` : "No model yet";
  const job = status.job;
  if (job?.status === "failed") return { text: `${name} · stopped: ${job.reason}`, tone: "warn" };
  if (job?.status === "running") {
    const share = job.progress > 0 && job.progress < 1 ? ` ${Math.round(job.progress * 100)} %` : "";
    return { text: `${name} · ${job.message || "working"}${share}`, tone: "busy" };
  }
  if (job?.message?.startsWith("waiting")) return { text: job.message, tone: "" };
  return { text: name, tone: "" };
}
