import { byId, inWords, make } from "./dom.ts";
import type { FaultsNews, HealthNews, NodeNews, PageRequest } from "./messages.ts";

/** The head of the page: how the node is, and the switches for what may go wrong. */
export class NodeState {
  #node: NodeNews | undefined;
  readonly #latency = byId("latency", HTMLSelectElement);
  readonly #errors = byId("errors", HTMLSelectElement);
  readonly #outage = byId("outage", HTMLInputElement);
  readonly #maintenance = byId("maintenance", HTMLInputElement);
  readonly #profile = byId("profile", HTMLSelectElement);

  constructor(ask: (request: PageRequest) => boolean) {
    const on = (element: HTMLElement, type: string, asked: () => PageRequest) =>
      element.addEventListener(type, () => ask(asked()));
    on(this.#latency, "change", () => ({ type: "latency", ms: Number(this.#latency.value) }));
    on(this.#errors, "change", () => ({ type: "errors", percent: Number(this.#errors.value) }));
    on(this.#outage, "change", () => ({ type: "outage", on: this.#outage.checked }));
    on(this.#maintenance, "change", () => ({ type: "maintenance", on: this.#maintenance.checked }));
    on(this.#profile, "change", () => ({ type: "profile", profile: this.#profile.value }));
    on(byId("drop", HTMLElement), "click", () => ({ type: "drop" }));
    setInterval(() => this.#tick(), 1000);
  }

  /** Shows the node. */
  show(node: NodeNews): void {
    this.#node = node;
    byId("hostname", HTMLElement).textContent = node.hostname;
    document.title = `${node.hostname}: Noderax agent`;
    const status = byId("status", HTMLElement);
    status.textContent = node.status;
    status.dataset.status = node.status;
    this.#maintenance.checked = node.maintenance;
    this.#profile.value = node.profile ?? "";
    const facts: [string, string | undefined][] = [
      ["Agent", node.agentVersion],
      ["Platform", node.platform],
      ["Kernel", node.kernelVersion],
      ["Root access", rootAccess(node)],
      ["Realtime", node.connected ? "connected" : "not connected"],
      ["Last seen", ""],
      ["Control plane", node.controlPlane.replace("http://", "")],
      ...node.maintenance ? [["Maintenance", "on"] satisfies [string, string]] : [],
    ];
    byId("facts", HTMLElement).replaceChildren(
      ...facts.map(([name, value]) => {
        const detail = make("dd", { className: name === "Last seen" ? "seen" : "" }, value ?? "–");
        return make("div", {}, make("dt", {}, name), detail);
      }),
    );
    this.#tick();
  }

  /** Shows the verdict on the agent. */
  health({ health, problem, fix }: HealthNews): void {
    const pill = byId("health", HTMLElement);
    pill.hidden = false;
    pill.dataset.status = health;
    pill.textContent = problem ? `${health}: ${problem}${fix ? ` — ${fix}` : ""}` : health;
  }

  /** Shows the switches. */
  faults({ latencyMs, errorPercent, outage }: FaultsNews): void {
    this.#latency.value = String(latencyMs);
    this.#errors.value = String(errorPercent);
    this.#outage.checked = outage;
    const on = [latencyMs, errorPercent, outage].filter((it) => it).length;
    byId("faults-on", HTMLElement).textContent = on > 0 ? `: ${on} on` : "";
    byId("faults", HTMLElement).classList.toggle("on", on > 0);
  }

  #tick(): void {
    const seen = document.querySelector("dd.seen");
    const at = this.#node?.lastSeenAt;
    const text = at === undefined ? "never" : `${inWords(Date.now() - at)} ago`;
    if (seen) seen.textContent = text;
  }
}

/** The profile that was asked for, and what became of it unless it is in force. */
function rootAccess({ profile, rootAccess }: NodeNews): string {
  if (profile === null) return "not restricted";
  if (rootAccess?.lastError) return `${profile}, not applied: ${rootAccess.lastError}`;
  const { appliedProfile } = rootAccess ?? {};
  return appliedProfile === profile ? profile : `${profile}, not applied yet`;
}
