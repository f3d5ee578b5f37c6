import { join } from "@std/path";

const SLOW_DISK = `
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) { usleep(150000); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(150000); return syscall(SYS_fdatasync, fd); }
`;

/** The clock that may jump; the one that timers go by stays as it is. */
const CLOCK = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static const volatile long *offset;
__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TEST_CLOCK_FILE");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *page = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) offset = page;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
  return result;
}
int gettimeofday(struct timeval *now, void *zone) {
  int result = syscall(SYS_gettimeofday, now, zone);
  if (offset) now->tv_sec += *offset;
  return result;
}
time_t time(time_t *to) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}
`;

/** A library for LD_PRELOAD, made in a folder; undefined where there is no C compiler. */
async function library(folder: string, name: string, code: string): Promise<string | undefined> {
  const [source, built] = [join(folder, `${name}.c`), join(folder, `${name}.so`)];
  await Deno.writeTextFile(source, code);
  const args = ["-shared", "-fPIC", "-O1", "-o", built, source];
  const compiled = await new Deno.Command("cc", { args }).output().catch(() => undefined);
  return compiled?.success ? built : undefined;
}

/** What stands between an agent and the C library, with which its disk is slow and its clock jumps. */
export class Shims {
  readonly #slowDisk: string;
  readonly #clock: string;
  readonly #clockFile: string;

  private constructor(slowDisk: string, clock: string, clockFile: string) {
    this.#slowDisk = slowDisk;
    this.#clock = clock;
    this.#clockFile = clockFile;
  }

  /** Makes them in a folder; undefined where there is no C compiler. */
  static async make(folder: string): Promise<Shims | undefined> {
    const slowDisk = await library(folder, "slow_disk", SLOW_DISK);
    const clock = await library(folder, "clock", CLOCK);
    if (!slowDisk || !clock) return undefined;
    const clockFile = join(folder, "clock");
    await Deno.writeFile(clockFile, new Uint8Array(8));
    return new Shims(slowDisk, clock, clockFile);
  }

  /** What an agent has to have in its environment; of a slow disk each sync takes 150 ms. */
  env(isSlow: boolean): Record<string, string> {
    const libraries = isSlow ? [this.#clock, this.#slowDisk] : [this.#clock];
    return { LD_PRELOAD: libraries.join(" "), TEST_CLOCK_FILE: this.#clockFile };
  }

  /** Puts the clock of all agents so far off, at once. */
  async setClock(offsetSeconds: number): Promise<void> {
    // It is never shorter: the agents have it mapped.
    using file = await Deno.open(this.#clockFile, { write: true });
    await file.write(new Uint8Array(BigInt64Array.of(BigInt(offsetSeconds)).buffer));
  }
}
