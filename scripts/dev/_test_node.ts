import assert from "node:assert/strict";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "./control_plane.ts";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** What a call was answered; `message` is that of the error JSON. */
export interface Reply {
  status: number;
  body: Json;
  message: unknown;
}

/** A control plane with one node, and that node's calls by plain fetch. */
export class TestNode implements AsyncDisposable {
  readonly cp: ControlPlane;
  readonly node: { nodeId: string; agentToken: string };

  /** Makes one on a running control plane. */
  constructor(cp: ControlPlane) {
    this.cp = cp;
    this.node = cp.addNode({ hostname: "srv-01" });
  }

  /** `POST /agent/…` with the node's credentials. */
  post(route: string, body: Json | string = {}, init?: RequestInit): Promise<Reply> {
    return this.#call("POST", `/agent/${route}`, body, init);
  }

  /** A claim; by default one that does not wait. */
  claim(body: Json = { waitMs: 0 }, init?: RequestInit): Promise<Reply> {
    return this.post("tasks/claim", body, init);
  }

  /** A writing call for a task. */
  task(id: string, name: string, body?: Json | string): Promise<Reply> {
    return this.post(`tasks/${id}/${name}`, body);
  }

  /** What `control` says. */
  async control(id: string): Promise<Json> {
    return (await this.#call("GET", `/agent/tasks/${id}/control`)).body;
  }

  /** Queues a task and brings it to `running`. */
  async running(): Promise<string> {
    const id = this.cp.queueTask({ type: "shell.exec", payload: { command: "true" } });
    await this.claim();
    assert.equal((await this.task(id, "started")).status, 200);
    return id;
  }

  /** Ends the control plane. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.cp[Symbol.asyncDispose]();
  }

  #call(method: string, route: string, body?: Json | string, init?: RequestInit): Promise<Reply> {
    const headers = {
      authorization: `Bearer ${this.node.agentToken}`,
      "x-agent-node-id": this.node.nodeId,
      "content-type": "application/json",
    };
    return request(this.cp, method, route, body, { headers, ...init });
  }
}

/** Starts a control plane with one node. */
export async function setUp(options: Partial<ControlPlaneOptions> = {}): Promise<TestNode> {
  return new TestNode(await startControlPlane(options));
}

/** One call by plain fetch. */
export async function request(
  cp: ControlPlane,
  method: string,
  route: string,
  body?: Json | string,
  init: RequestInit = { headers: { "content-type": "application/json" } },
): Promise<Reply> {
  const response = await fetch(`${cp.url}/api/v1${route}`, {
    ...init,
    method,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const answer: Json = await response.json();
  return { status: response.status, body: answer, message: answer.message };
}

/** Asserts that a call was refused, and why. */
export function assertRefused(
  answer: Reply,
  status: number,
  message: RegExp = /./,
): void {
  assert.equal(answer.status, status);
  assert.match(String(answer.message), message);
}
