import { join } from "@std/path";
import { certificates } from "../realtime/_certificates.ts";

/** A folder of releases behind https, as a release server has it. */
export class ReleaseServer implements AsyncDisposable {
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  /** What answers in place of the folder, by the path that was asked for. */
  readonly answers: Record<string, () => Response | Promise<Response>> = {};
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(folder: string, tls: { cert: string; key: string }) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls },
      (request) => this.#answer(folder, decodeURI(new URL(request.url).pathname)),
    );
  }

  /** Serves `folder`; the authority of its certificate is `ca.pem` in `keys`. */
  static async start(folder: string, keys: string): Promise<ReleaseServer> {
    return new ReleaseServer(folder, await certificates(keys));
  }

  /** Its port on this machine; its certificate is for `localhost` and `control-plane.test`. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(folder: string, path: string): Promise<Response> {
    this.asked.push(path);
    const answer = this.answers[path];
    if (answer) return await answer();
    try {
      return new Response((await Deno.open(join(folder, path))).readable);
    } catch {
      return new Response("<h1>Not found</h1>", { status: 404 });
    }
  }
}
