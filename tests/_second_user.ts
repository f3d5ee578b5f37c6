import { join } from "@std/path";
import { FETCHED, FROM_SOURCE } from "./_command.ts";

/** Whether accounts can be made here; tests that need one are ignored otherwise. */
const CAN_MAKE_USERS = Deno.uid() === 0;

/** A user of this machine with a home and a supplementary group, for the time of a test. */
export class SecondUser implements AsyncDisposable {
  readonly name: string;
  /** A group that is not its primary one. */
  readonly group: string;
  readonly home: string;

  private constructor(name: string) {
    this.name = name;
    this.group = `${name}-more`;
    this.home = join("/var/tmp", name);
  }

  static async make(): Promise<SecondUser> {
    const user = new SecondUser(`ndx-${crypto.randomUUID().slice(0, 8)}`);
    const { name, group, home } = user;
    await sh('groupadd -r "$1"', group);
    await sh('useradd -r -m -d "$1" -s /bin/bash -G "$2" "$3"', home, group, name);
    return user;
  }

  /**
   * Gives it what Deno has fetched, which it may not look into, for an agent that it runs from source:
   * that would fetch all of it anew.
   */
  async giveFetched(): Promise<void> {
    if (!FROM_SOURCE) return;
    const script = `[ -d "$1/.cache" ] || { mkdir -p "$1/.cache/deno" &&
      cp -r --reflink=auto "$2/deno/npm" "$1/.cache/deno" && chown -R "$3:" "$1/.cache"; }`;
    await sh(script, this.home, FETCHED.XDG_CACHE_HOME ?? "", this.name);
  }

  /** What `id` says of it. */
  id(): Promise<string> {
    return sh('id "$1"', this.name);
  }

  /** Its living processes. */
  async processes(): Promise<string> {
    return await sh('ps -o pid=,stat=,args= -u "$1" | grep -v " Z" || true', this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await sh('pkill -KILL -u "$1" || true', this.name);
    // By force: who was killed a moment ago may be there still, and keeps neither user nor home.
    await sh('userdel -r -f "$1" 2>/dev/null; groupdel "$2"', this.name, this.group);
  }
}

/** The output of a script that must succeed. */
export async function sh(script: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", script, "sh", ...args],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${script}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}

/** A test that makes users. */
export function privileged(name: string, fn: () => Promise<void>): void {
  const why = CAN_MAKE_USERS ? "" : " (ignored: only root can make users)";
  Deno.test({ name: name + why, ignore: !CAN_MAKE_USERS, fn });
}
