import type { LoadedConfig } from "../config/mod.ts";
import { HttpTransport } from "./http.ts";
import { createClient } from "./network.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/**
 * Opens the transport to the configured control plane. It is the one network of the agent.
 *
 * Throws a {@linkcode UserError} when api_url is not set or api_tls_ca_file cannot be used.
 */
export async function connect({ config, path }: LoadedConfig): Promise<HttpTransport> {
  if (!config.apiUrl) {
    throw new UserError(
      "api_url is not set: give the control plane's address as api_url in " +
        `${path}, or as NODERAX_API_URL (or API_URL) in the environment.`,
    );
  }
  const file = config.apiTlsCaFile;
  return new HttpTransport(config.apiUrl, file ? await clientTrusting(file) : undefined);
}

/**
 * Makes a client that also trusts the authorities of `api_tls_ca_file`.
 *
 * @throws {UserError} when the file cannot be used.
 */
export async function clientTrusting(file: string): Promise<Deno.HttpClient> {
  try {
    return createClient(await Deno.readTextFile(file));
  } catch (cause) {
    throw new UserError(
      `api_tls_ca_file is ${file}, which cannot be used (${messageOf(cause)}): name a PEM file ` +
        "of certificates.",
      { cause },
    );
  }
}
