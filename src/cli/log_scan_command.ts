import { parseRequest, scan } from "../log_scan/log_scan.ts";
import { readAs } from "../log_scan/read_as.ts";
import { asAgent } from "../privileges/launch.ts";
import { jsonOf } from "../system/text.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { print } from "./output.ts";

/** Scans a log as the payload in a file asks, with the rights of its caller; prints the result. */
export async function logScanCommand({ request }: { request: string }): Promise<number> {
  const text = await Deno.readTextFile(request).catch((error) => {
    throw new UserError(`${request} cannot be read: ${messageOf(error)}`);
  });
  const payload = jsonOf(text);
  if (payload === undefined) {
    throw new UserError(`${request} is not valid JSON, so it holds no request.`);
  }
  const result = await scan(parseRequest(payload), readAs(asAgent, new AbortController().signal));
  print(`${JSON.stringify(result, null, 2)}\n`);
  return 0;
}
