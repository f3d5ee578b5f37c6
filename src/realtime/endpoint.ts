import { messageOf } from "../system/user_error.ts";
import { RealtimeFailure } from "./failures.ts";

/** Where the control plane's Socket.IO server is. */
export interface Endpoint {
  /** Scheme, host and port. */
  origin: string;
  /** The path, api_url's own included, with a slash at its end. */
  path: string;
}

/**
 * Finds the Socket.IO server below the API's address.
 *
 * @throws {RealtimeFailure} when the two make no http or https URL.
 */
export function endpointOf(apiUrl: string, realtimePath: string): Endpoint {
  try {
    const { protocol, origin, pathname } = new URL(apiUrl + realtimePath);
    if (!/^https?:$/.test(protocol)) throw new TypeError(`not an http or https URL: ${apiUrl}`);
    return { origin, path: pathname.replace(/\/*$/, "/") };
  } catch (cause) {
    throw new RealtimeFailure("invalid URL input", messageOf(cause), { cause });
  }
}
