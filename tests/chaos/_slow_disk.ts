import { join } from "@std/path";

const SHIM = `
#include <unistd.h>
#include <sys/syscall.h>
int fsync(int fd) { usleep(150000); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(150000); return syscall(SYS_fdatasync, fd); }
`;

/**
 * A library that makes every sync take 150 ms, for LD_PRELOAD, made in a folder; undefined where
 * there is no C compiler.
 */
export async function slowDisk(folder: string): Promise<string | undefined> {
  const [source, library] = [join(folder, "slow.c"), join(folder, "slow.so")];
  await Deno.writeTextFile(source, SHIM);
  const args = ["-shared", "-fPIC", "-O1", "-o", library, source];
  const compiled = await new Deno.Command("cc", { args }).output().catch(() => undefined);
  return compiled?.success ? library : undefined;
}
