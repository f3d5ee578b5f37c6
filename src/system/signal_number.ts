/** The signals of signal(7) in the order of their numbers, from 1 on; x64 and arm64 number them alike. */
const SIGNALS: readonly Deno.Signal[] = [
  ...["SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE"] as const,
  ...["SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM"] as const,
  ...["SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"] as const,
  ...["SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO"] as const,
  ...["SIGPWR", "SIGSYS"] as const,
];

/** The kernel's number of a signal; 0, which is none, for what Linux does not have. */
export function signalNumber(signal: Deno.Signal): number {
  return SIGNALS.indexOf(signal) + 1;
}

/** The signal that has this number in the kernel. */
export function signalOf(number: number): Deno.Signal | undefined {
  return SIGNALS[number - 1];
}
