import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { judgeAfter } from "../src/system/stall.ts";
import { Fleet } from "./_agent.ts";
import { agentCommand } from "./_command.ts";
import { sh } from "./_second_user.ts";

const Report = z.object({
  checks: z.array(z.strictObject({
    check: z.string(),
    status: z.enum(["ok", "warn", "fail", "skip"]),
    found: z.string(),
    fix: z.string().optional(),
    mend: z.string().optional(),
  })),
  summary: z.record(z.string(), z.number()),
});

/** What doctor has said. */
export interface Examined {
  code: number;
  stdout: string;
  /** Its finding of each check: the status, a colon, what was found, and the fix in brackets. */
  of: (check: string) => string;
  /** The checks that failed, those left out that depend on the machine of the test. */
  failed: string[];
}

/** What doctor finds of these is the machine's, whatever a test sets up. */
const OF_THE_MACHINE = ["disk", "packages", "systemd"];

/** How doctor is started. */
export interface ExamineOptions {
  args?: string[];
  env?: Record<string, string>;
  through?: string[];
}

/** Runs doctor as its users do. */
export async function examine(configFile: string, options: ExamineOptions = {}): Promise<Examined> {
  const { args = ["--json"], env = {}, through = [] } = options;
  const { code, stdout: bytes, stderr } = await agentCommand(["doctor", ...args], {
    env: { NODERAX_CONFIG_FILE: configFile, DENO_NO_UPDATE_CHECK: "1", ...env },
    through,
  }).output();
  const stdout = new TextDecoder().decode(bytes);
  if (!args.includes("--json")) return { code, stdout, of: () => "", failed: [] };
  if (!stdout.startsWith("{")) throw new Error(stdout + new TextDecoder().decode(stderr));
  const { checks } = Report.parse(JSON.parse(stdout));
  const of = (name: string) => {
    const finding = checks.find(({ check }) => check === name);
    if (!finding) throw new Error(`there is no check ${name}`);
    return `${finding.status}: ${finding.found}${finding.fix ? ` [${finding.fix}]` : ""}`;
  };
  const failed = checks.filter(({ status }) => status === "fail").map(({ check }) => check);
  assert.equal(code, failed.length > 0 ? 1 : 0);
  return { code, stdout, of, failed: failed.filter((check) => !OF_THE_MACHINE.includes(check)) };
}

/** Runs doctor on a machine whose configuration differs in `config` from one that works. */
export async function examineWith(
  fleet: Fleet,
  config: Record<string, unknown>,
  options: ExamineOptions = {},
): Promise<Examined> {
  const file = join(fleet.folder, `${crypto.randomUUID()}.json`);
  const content = {
    api_url: fleet.controlPlane.url,
    node_id: fleet.nodeId,
    agent_token: fleet.agentToken,
    state_file: join(fleet.stateFolder, "agent_identity.json"),
    ...config,
  };
  await Deno.writeTextFile(file, JSON.stringify(content), { mode: 0o600 });
  return await examine(file, options);
}

/** A fleet whose node has a state folder. */
export async function fleetWithState(): Promise<Fleet> {
  const fleet = await Fleet.start();
  await Deno.mkdir(fleet.stateFolder, { mode: 0o700 });
  return fleet;
}

/** A server on this machine that does with each connection what it is told. */
export class Peer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(onSocket: (peer: Peer, socket: Socket) => void, tls?: Certificate) {
    const keep = (socket: Socket) => onSocket(this, this.keep(socket));
    this.#server = tls ? createTlsServer(tls, keep) : createServer(keep);
    this.#server.on("connection", (socket: Socket) => this.keep(socket));
    this.#server.on("tlsClientError", () => {});
  }

  /** One that hears and never speaks. */
  static silent(): Promise<Peer> {
    return Peer.#start(() => {});
  }

  /** One that answers whatever it is asked with this text. */
  static saying(text: string): Promise<Peer> {
    return Peer.#start((_peer, socket) => socket.once("data", () => socket.end(text)));
  }

  /** One that answers with this text, and then never comes to an end. */
  static endless(text: string): Promise<Peer> {
    return Peer.#start((_peer, socket) => {
      const more = () => {
        while (socket.writable && socket.write("x".repeat(65_536)));
      };
      socket.on("drain", more).once("data", () => {
        socket.write(text);
        more();
      });
    });
  }

  /** One that speaks TLS for what listens on `port`. */
  static tls(port: number, certificate: Certificate): Promise<Peer> {
    return Peer.#start((peer, near) => {
      const far = peer.keep(connect(port, "127.0.0.1"));
      near.pipe(far).pipe(near);
    }, certificate);
  }

  static async #start(
    onSocket: (peer: Peer, socket: Socket) => void,
    tls?: Certificate,
  ): Promise<Peer> {
    const peer = new Peer(onSocket, tls);
    await new Promise<void>((resolve) => peer.#server.listen(0, "127.0.0.1", resolve));
    return peer;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port ?? 0 : 0;
  }

  /** Destroys the socket when all is over. */
  keep(socket: Socket): Socket {
    if (this.#sockets.has(socket)) return socket;
    this.#sockets.add(socket);
    return socket.on("error", () => socket.destroy()).on(
      "close",
      () => this.#sockets.delete(socket),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A certificate and its key, as PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** An address whose connections are never taken, as behind a firewall that drops. */
export class BlackHole implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #sockets: Socket[] = [];

  /** Fills the queue of those who wait, until one does not even get into that. */
  static async open(): Promise<BlackHole> {
    const hole = new BlackHole();
    const full = Promise.withResolvers<void>();
    const next = () => {
      const socket = connect(hole.port, "127.0.0.1");
      hole.#sockets.push(socket.on("error", () => {}));
      const cancel = judgeAfter(800, full.resolve);
      socket.once("connect", () => {
        cancel();
        next();
      });
    };
    next();
    await full.promise;
    return hole;
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
  }
}

/** A certificate of the authority in `folder` that was valid yesterday. */
export async function expiredCertificate(folder: string): Promise<Certificate> {
  const script = `cd "$1" && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout old.key -out old.csr -subj /CN=localhost &&
  printf 'subjectAltName=DNS:localhost\\nbasicConstraints=critical,CA:FALSE' >old.ext &&
  openssl x509 -req -in old.csr -CA ca.pem -CAkey ca.key -days -1 -out old.pem -extfile old.ext`;
  await sh(script, folder);
  const read = (name: string) => Deno.readTextFile(join(folder, name));
  return { cert: await read("old.pem"), key: await read("old.key") };
}
