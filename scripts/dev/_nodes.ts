import { HttpError } from "./_http_error.ts";
import { nowMs } from "./_ledger.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import type { RootAccessProfile } from "./_rules.ts";

/** A machine of the fleet. */
export interface Node {
  readonly nodeId: string;
  readonly agentToken: string;
  readonly hostname: string;
  readonly additionalInfo: Record<string, unknown>;
  agentVersion?: string | undefined;
  platformVersion?: string | undefined;
  kernelVersion?: string | undefined;
  /** Epoch milliseconds of the last heartbeat, authentication or snapshot; claims do not count. */
  lastSeenAt?: number;
  /** Epoch milliseconds of the last loss of its realtime socket: offline until it is seen again. */
  offlineAt?: number;
  maintenance: boolean;
  deleted: boolean;
  /** What the last `agent.auth` said of it. */
  location?: unknown;
  /** The desired root access profile; null (default) is a platform that knows no profiles. */
  rootAccess: { profile: RootAccessProfile; updatedAt: string } | null;
  /** What the last claim or `agent.auth` reported about root access. */
  appliedRootAccess?: unknown;
}

/** What operators are shown of a node. */
export type NodeStatus = "online" | "offline";

/** Offline after 90 s of silence, and at once when its socket is lost (contract, heartbeat). */
export function nodeStatus(
  { lastSeenAt = 0, offlineAt = 0 }: Node,
  { offlineAfterMs }: ControlPlaneOptions,
): NodeStatus {
  return lastSeenAt > offlineAt && nowMs() - lastSeenAt < offlineAfterMs ? "online" : "offline";
}

/** The states of an enrollment. */
export type EnrollmentStatus = "pending" | "approved" | "revoked" | "rejected" | "expired";

/** An enrollment that an agent has begun. */
export interface Enrollment {
  readonly token: string;
  readonly email: string;
  readonly hostname: string;
  readonly additionalInfo: Record<string, unknown>;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  status: EnrollmentStatus;
  node?: Node;
}

/** A one-click installation. */
interface Install {
  readonly token: string;
  readonly installId: string;
  readonly nodeName: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  startedAt?: number;
  updatedAt: number;
  consumedAt?: number;
  node?: Node;
  status: "pending" | "installing" | "completed" | "failed";
  stage: string;
  progressPercent: number;
  statusMessage: string | null;
}

/** The nodes and the two ways to become one (contract, enrollment). */
export class Nodes {
  readonly #options: ControlPlaneOptions;
  readonly #changed: () => void;
  readonly #nodes = new Map<string, Node>();
  readonly #enrollments = new Map<string, Enrollment>();
  readonly #installs = new Map<string, Install>();

  /** `changed` is called after each change of state. */
  constructor(options: ControlPlaneOptions, changed: () => void) {
    this.#options = options;
    this.#changed = changed;
  }

  /** Adds a node; known credentials may be brought along. */
  add(
    hostname: string,
    additionalInfo: Record<string, unknown> = {},
    credentials: { nodeId?: string; agentToken?: string } = {},
  ): Node {
    const node: Node = {
      nodeId: credentials.nodeId ?? crypto.randomUUID(),
      agentToken: credentials.agentToken ?? secret(),
      hostname,
      additionalInfo,
      maintenance: false,
      deleted: false,
      rootAccess: null,
    };
    this.#nodes.set(node.nodeId, node);
    this.#changed();
    return node;
  }

  /** The node, deleted ones included. */
  get(nodeId: string): Node | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Those that were not deleted, oldest first. */
  all(): Node[] {
    return [...this.#nodes.values()].filter((node) => !node.deleted);
  }

  /** The node, which must exist; without an id the one that was added last. */
  known(nodeId?: string): Node {
    const node = nodeId === undefined ? this.all().at(-1) : this.#nodes.get(nodeId);
    if (!node) throw new Error(`there is no node ${nodeId ?? ": call addNode() or enroll one"}`);
    return node;
  }

  /** The node with these credentials, else 401. */
  authenticate(nodeId: string | undefined, agentToken: string | undefined): Node {
    const node = nodeId === undefined ? undefined : this.#nodes.get(nodeId);
    if (!node || node.deleted || node.agentToken !== agentToken) {
      throw new HttpError(401, "Invalid agent credentials");
    }
    return node;
  }

  /** All enrollments, oldest first. */
  enrollments(): Enrollment[] {
    return [...this.#enrollments.values()].map((enrollment) => this.#current(enrollment));
  }

  /** Begins an enrollment; an older one of the same pair is revoked. */
  initiate(email: string, hostname: string, additionalInfo: Record<string, unknown>): Enrollment {
    for (const other of this.#enrollments.values()) {
      if (other.email === email && other.hostname === hostname && other.status === "pending") {
        other.status = "revoked";
      }
    }
    const enrollment: Enrollment = {
      token: secret(),
      email,
      hostname,
      additionalInfo,
      expiresAt: nowMs() + this.#options.enrollmentTtlMs,
      status: "pending",
    };
    this.#enrollments.set(enrollment.token, enrollment);
    if (this.#options.autoApprove) this.approve(enrollment.token);
    this.#changed();
    return enrollment;
  }

  /** The enrollment, else 404. */
  enrollment(token: string): Enrollment {
    const enrollment = this.#enrollments.get(token);
    if (!enrollment) throw new HttpError(404, "Enrollment token was not found");
    return this.#current(enrollment);
  }

  /** An operator approves: the node exists from now on. @throws 409 to the operator alone. */
  approve(token: string): Node {
    const enrollment = this.enrollment(token);
    enrollment.node ??= this.#join(enrollment.hostname, enrollment.additionalInfo);
    this.settle(token, "approved");
    return enrollment.node;
  }

  /** Puts an enrollment into a state. */
  settle(token: string, status: EnrollmentStatus): void {
    this.enrollment(token).status = status;
    this.#changed();
  }

  /** Makes a token for a one-click installation. */
  addInstall(): string {
    const token = secret();
    this.#installs.set(token, {
      token,
      installId: crypto.randomUUID(),
      nodeName: "new node",
      createdAt: nowMs(),
      updatedAt: nowMs(),
      expiresAt: nowMs() + this.#options.enrollmentTtlMs,
      status: "pending",
      stage: "created",
      progressPercent: 0,
      statusMessage: null,
    });
    return token;
  }

  /** The installation of a token: 404 for an unknown one, 410 when its time is over. */
  install(token: string): Install {
    const install = this.#installs.get(token);
    if (!install) throw new HttpError(404, "Bootstrap token was not found");
    if (!install.node && nowMs() > install.expiresAt) {
      throw new HttpError(410, "Bootstrap token has expired");
    }
    return install;
  }

  /** Uses an installation token up: 410 the second time. A 409 leaves it as it was. */
  consume(token: string, hostname: string, additionalInfo: Record<string, unknown>): Node {
    const install = this.install(token);
    if (install.node) throw new HttpError(410, "Bootstrap token has been used already");
    install.node = this.#join(hostname, additionalInfo);
    install.consumedAt = install.updatedAt = nowMs();
    return install.node;
  }

  /** Hostnames are unique: 409 for one that a node has which was not deleted. */
  #join(hostname: string, additionalInfo: Record<string, unknown>): Node {
    if (this.all().some((node) => node.hostname.toLowerCase() === hostname)) {
      throw new HttpError(409, "A node with this hostname already exists");
    }
    return this.add(hostname, additionalInfo);
  }

  #current(enrollment: Enrollment): Enrollment {
    if (enrollment.status === "pending" && nowMs() > enrollment.expiresAt) {
      enrollment.status = "expired";
    }
    return enrollment;
  }
}

/** 64 hexadecimal digits. */
function secret(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}
